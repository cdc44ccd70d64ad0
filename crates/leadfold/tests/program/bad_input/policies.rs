//! Policies with faults: every fault named by its path, none of them adopted.

use std::fs;

use super::shop;
use crate::support::{Folder, objects, shop_policy};

/// A change of the example's policy, and the faults that it makes: path and a word of the message.
struct Case {
    from: &'static str,
    to: &'static str,
    faults: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case { from: "currency = \"EUR\"", to: "currency = \"EURO\"", faults: &[("currency", "ISO 4217")] },
    Case { from: "tenant = \"acme\"", to: "colour = \"red\"", faults: &[("tenant", ""), ("colour", "unknown")] },
    Case {
        from: "group = \"connectivity\"",
        to: "grupp = \"connectivity\"",
        faults: &[("lead_type[3].grupp", "did you mean \"group\"?")],
    },
    Case { from: "\"14d\"", to: "\"14 parsecs\"", faults: &[("lead_type[1].close_after", "such as")] },
    Case {
        from: "default_lead_type = \"phones\"",
        to: "default_lead_type = \"phonograph\"",
        faults: &[("skill[1].default_lead_type", "phonograph")],
    },
    Case {
        from: "default_lead_type = \"phones\"",
        to: "default_lead_type = \"trade-in\"",
        faults: &[("skill[1].default_lead_type", "active")],
    },
];

fn example() -> String {
    fs::read_to_string(shop_policy()).unwrap()
}

#[test]
fn every_fault_of_a_policy_is_named_by_its_path() {
    let (folder, before) = shop();
    for case in CASES {
        assert!(example().contains(case.from));
        folder.write("faulty.toml", example().replacen(case.from, case.to, 1));
        for verb in ["check", "adopt"] {
            let run = folder.run(["policy", verb, "faulty.toml"]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
            let lines: Vec<&str> = run.stderr.lines().collect();
            let (last, faults) = lines.split_last().unwrap();
            assert!(last.starts_with("error: cannot use the policy faulty.toml: "), "{last}");
            assert_eq!(faults.len(), case.faults.len(), "{faults:?}");
            for (path, word) in case.faults {
                let begin = format!("faulty.toml: {path}: ");
                assert!(faults.iter().any(|fault| fault.starts_with(&begin) && fault.contains(word)), "{faults:?}");
            }
            let run = folder.run(["policy", verb, "faulty.toml", "--json"]);
            let paths: Vec<String> =
                objects(&run.stdout).iter().map(|fault| fault["path"].as_str().unwrap().into()).collect();
            assert!(case.faults.iter().all(|(path, _)| paths.contains(&(*path).to_owned())), "{paths:?}");
        }
    }
    folder.picture().assert_same(&before);
}

#[test]
fn a_file_that_is_no_policy_is_named_with_its_line() {
    let folder = Folder::empty();
    folder.write("broken.toml", "tenant = \"acme\"\ncurrency = \n");
    folder.write("binary.toml", b"\xff\xfe\0");
    for (file, says) in [("broken.toml", "line 2"), ("binary.toml", "UTF-8"), ("nowhere.toml", "No such file")] {
        let run = folder.run(["policy", "adopt", file]);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(file) && run.stderr.contains(says), "{}", run.stderr);
        assert!(run.stderr.lines().last().unwrap().starts_with("error: cannot "), "{}", run.stderr);
    }
    assert!(!folder.path("data").exists(), "a faulty policy makes no folder");
}

#[test]
fn a_lead_type_is_never_deleted() {
    let (folder, before) = shop();
    let start = example().find("[[lead_type]]\nname = \"trade-in\"").unwrap();
    let end = example()[start..].find("# Skills").unwrap() + start;
    folder.write("less.toml", [&example()[..start], &example()[end..]].concat());
    assert_eq!(folder.run(["policy", "check", "less.toml"]).code, Some(0));
    let run = folder.run(["policy", "adopt", "less.toml"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("trade-in"), "{}", run.stderr);
    folder.picture().assert_same(&before);
}
