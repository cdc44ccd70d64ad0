//! Policy documents: the complete example is accepted, and every fault of a bad one is named by path.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use lead_domain::Period;
use lead_domain::Temperature;
use lead_domain::policy::condition::SealedTest;
use lead_domain::policy::nurture::StepDelay;
use lead_domain::policy::scoring::LimitKey;
use lead_domain::policy::{CountedFrom, Fault, Pick};
use proto_events::policy_document::{PolicyDocument, read};

const EXAMPLE: &str = include_str!("fixtures/policy-example.toml");

fn example() -> PolicyDocument {
    read(EXAMPLE, None).unwrap()
}

#[test]
fn the_complete_example_is_accepted_as_written() {
    let document = example();
    let policy = &document.policy;
    assert_eq!((policy.tenant.as_str(), policy.currency.code()), ("acme", "EUR"));
    assert_eq!((document.time_zone.as_str(), document.phone_region.as_str()), ("Europe/Berlin", "DE"));
    assert_eq!((policy.lateness, document.blocked_identifiers.len()), (Period::from_seconds(60), 4));
    let broadband = policy.lead_type("broadband").unwrap();
    assert_eq!((broadband.close_after, broadband.counted_from), (Period::from_days(3), CountedFrom::FirstInteraction));
    assert_eq!(policy.lead_type("tablets").unwrap().converts_on[1].min_value, Some(1_000));
    let chat = policy.entry_point(Some("chat-en-uk"), "web").unwrap();
    assert_eq!((chat.also_allowed.len(), chat.pick), (1, Pick::MostRecent));
    let scoring = &policy.scoring;
    assert_eq!((scoring.groups.len(), scoring.rules.len()), (2, 6));
    assert_eq!(scoring.rules[1].limit.unwrap().per, Some(LimitKey::ProductId));
    assert_eq!(scoring.temperature.unwrap().hysteresis, 5);
    assert_eq!(scoring.stages.len(), 4);
    let programmes = &policy.nurture.programmes;
    assert_eq!(programmes[1].start_when.temperature, Some(Temperature::Warm));
    assert_eq!(programmes[1].steps[0].delay, StepDelay::AfterQuiet(Period::from_days(3)));
    assert_eq!((programmes[0].steps.len(), programmes[0].at_most.unwrap().times), (2, 2));
    assert_eq!(policy.nurture.consent.opt_out[0].when.action.as_deref(), Some("consent.withdrawn"), "by default");
}

#[test]
fn the_policy_of_the_made_up_shop_is_accepted() {
    let document = read(include_str!("../../examples/ecom/policy.toml"), None).unwrap();
    assert_eq!((document.policy.lead_types.len(), document.policy.channels.len()), (3, 5));
}

#[test]
fn a_short_document_gets_the_defaults() {
    let short = "tenant = \"a\"\ncurrency = \"CHF\"\ntime_zone = \"UTC\"\nphone_region = \"CH\"\n[[lead_type]]\nname = \"t\"\nclose_after = \"7d\"\n";
    let document = read(short, None).unwrap();
    let lead_type = &document.policy.lead_types[0];
    assert!(lead_type.active && lead_type.converts_on.is_empty());
    assert_eq!((lead_type.title.as_str(), document.policy.lateness), ("t", Period::from_seconds(60)));
    let scoring = &document.policy.scoring;
    assert!(scoring.temperature.is_none() && scoring.stages.is_empty());
}

/// The faults of the example with one line changed for others.
fn faults_after(from: &str, to: &str) -> Vec<Fault> {
    assert_eq!(EXAMPLE.matches(from).count(), 1, "{from:?} must stand once in the example");
    read(&EXAMPLE.replace(from, to), None).err().unwrap_or_default()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row a fault")]
fn each_fault_has_its_path_and_code() {
    let cases = [
        ("tenant = \"acme\"", "tenant = \"Acme GmbH\"", "tenant", "bad_name"),
        ("tenant = \"acme\"", "", "tenant", "missing"),
        ("tenant = \"acme\"", "tenant = 5", "tenant", "wrong_type"),
        ("currency = \"EUR\"", "currency = \"QQQ\"", "currency", "bad_currency"),
        ("currency = \"EUR\"", "curency = \"EUR\"\ncurrency = \"EUR\"", "curency", "unknown_key"),
        ("\"Europe/Berlin\"", "\"Europe/Bonn\"", "time_zone", "bad_time_zone"),
        ("phone_region = \"DE\"", "phone_region = \"Germany\"", "phone_region", "bad_region"),
        ("lateness = \"60s\"", "lateness = \"a minute\"", "lateness", "bad_duration"),
        ("lateness = \"60s\"", "lateness = 60", "lateness", "wrong_type"),
        ("lateness = \"60s\"", "lateness = \"8d\"", "lateness", "out_of_range"),
        ("customer_id_match = \"lenient\"", "customer_id_match = \"loose\"", "customer_id_match", "bad_word"),
        ("[\"null\", \"unknown\"", "[\"null\", 5", "blocked_identifiers[1]", "wrong_type"),
        ("\"not_interested\", \"wrong_number\"", "\"wrong_number\", \"wrong_number\"", "close_reasons[1]", "repeated"),
        ("labels = [\"b2c\"]", "labels = \"b2c\"", "lead_type[0].labels", "wrong_type"),
        ("close_after = \"72h\"", "close_after = \"72\"", "lead_type[1].close_after", "bad_duration"),
        ("close_after = \"72h\"", "close_after = \"0d\"", "lead_type[1].close_after", "out_of_range"),
        ("close_after = \"72h\"", "", "lead_type[1].close_after", "missing"),
        (
            "close_after = \"72h\"",
            "close_afer = \"72h\"\nclose_after = \"72h\"",
            "lead_type[1].close_afer",
            "unknown_key",
        ),
        (
            "counted_from = \"first_interaction\"\nconv",
            "counted_from = \"opening\"\nconv",
            "lead_type[1].counted_from",
            "bad_word",
        ),
        ("min_value = 1000", "min_value = \"10.00\"", "lead_type[0].converts_on[1].min_value", "wrong_type"),
        ("min_value = 1000", "attributes.plan = 1.5", "lead_type[0].converts_on[1].attributes.plan", "wrong_type"),
        (
            "{ action = \"contract.signed\" }",
            "{ acton = \"contract.signed\", action = \"x\" }",
            "lead_type[1].converts_on[0].acton",
            "unknown_key",
        ),
        ("[{ action = \"contract.signed\" }]", "[\"contract.signed\"]", "lead_type[1].converts_on[0]", "wrong_type"),
        ("name = \"support\" ", "name = \"chat-en-uk\" ", "skill[1].name", "repeated"),
        (
            "also_allowed = [\"broadband\"]",
            "also_allowed = [\"cable\"]",
            "skill[0].also_allowed[0]",
            "unknown_lead_type",
        ),
        ("pick = \"most_recent\"", "pick = \"newest\"", "skill[0].pick", "bad_word"),
        ("title = \"Web site\"", "titel = \"Web site\"", "channel[0].titel", "unknown_key"),
        ("total_cap = 100", "total_cap = 0", "scoring.total_cap", "out_of_range"),
        ("total_cap = 100", "total_cap = 100\ntotal_floor = 1", "scoring.total_floor", "out_of_range"),
        ("cap = 30", "cap = 30\nfloor = 31", "scoring.group[1].floor", "out_of_range"),
        (
            "at_least = 5, within = \"7d\"",
            "at_least = 5, within = \"9999d\"",
            "scoring.rule[2].when.within",
            "out_of_range",
        ),
        ("every = \"7d\", ", "every = \"1m\", ", "scoring.rule[1].decay.every", "out_of_range"),
        (
            "when = { action = \"newsletter.unsubscribed\" }",
            "when = { chanel = \"web\" }",
            "scoring.rule[5].when.chanel",
            "unknown_key",
        ),
        (
            "when = { action = \"newsletter.unsubscribed\" }",
            "when = { channel = [] }",
            "scoring.rule[5].when.channel",
            "missing",
        ),
        (
            "when = { action = \"newsletter.unsubscribed\" }",
            "when = { known = [\"fax\"] }",
            "scoring.rule[5].when.known",
            "bad_word",
        ),
        (
            "when = { action = \"newsletter.unsubscribed\" }",
            "when = { attributes.\"?x\" = { equals = 1 } }",
            "scoring.rule[5].when.attributes",
            "bad_name",
        ),
        (
            "{ action_prefix = \"cart.\" }",
            "{ action_prefix = \"pro\" }, { action_prefix = \"form.\" }",
            "funnel.stage[1].enter_when",
            "overlapping_stages",
        ),
        (
            "name = \"awareness\"",
            "name = \"awareness\"\nenter_when = { action = \"a\" }",
            "funnel.stage[0].enter_when",
            "bad_condition",
        ),
        ("kind = \"fit\"", "kind = \"guess\"", "scoring.group[1].kind", "bad_word"),
        ("cap = 30", "cap = -1", "scoring.group[1].cap", "out_of_range"),
        (
            "[[scoring.group]]\nname = \"profile\"",
            "[[scoring.group]]\nname = \"behaviour\"\nkind = \"fit\"\n[[scoring.group]]\nname = \"profile\"",
            "scoring.group[1].name",
            "repeated",
        ),
        ("points = 15 ", "points = 0 ", "scoring.rule[0].points", "out_of_range"),
        ("points = 6", "points = \"6\"", "scoring.rule[2].points", "wrong_type"),
        (
            "name = \"comes back often\"\ngroup = \"behaviour\"",
            "name = \"comes back often\"\ngroup = \"behavior\"",
            "scoring.rule[2].group",
            "unknown_group",
        ),
        ("name = \"spent a lot\"", "name = \"comes back often\"", "scoring.rule[3].name", "repeated"),
        (
            "when = { action = \"purchase\", total",
            "when = { action = 5, total",
            "scoring.rule[3].when.action",
            "wrong_type",
        ),
        (
            "attributes.form = { equals = \"offer\" }",
            "attributes.form = { like = \"offer\" }",
            "scoring.rule[0].when.attributes.form",
            "wrong_type",
        ),
        ("at_least = 5, within = \"7d\"", "at_least = 5", "scoring.rule[2].when.within", "missing"),
        ("at_least = 5, within = \"7d\"", "within = \"7d\"", "scoring.rule[2].when.within", "bad_condition"),
        ("when = { action = \"newsletter.unsubscribed\" }", "when = {}", "scoring.rule[5].when", "bad_condition"),
        ("when = { action = \"newsletter.unsubscribed\" }", "", "scoring.rule[5].when", "missing"),
        (
            "when = { action = \"newsletter.unsubscribed\" }",
            "when = { closed = true }",
            "scoring.rule[5].when.closed",
            "unknown_key",
        ),
        (
            "{ times = 3, within = \"1d\", per = \"product.id\" }",
            "{ times = 0 }",
            "scoring.rule[1].limit.times",
            "out_of_range",
        ),
        ("per = \"product.id\"", "per = \"colour\"", "scoring.rule[1].limit.per", "bad_word"),
        ("percent = 25", "percent = 101", "scoring.rule[1].decay.percent", "out_of_range"),
        ("every = \"7d\", ", "", "scoring.rule[1].decay.every", "missing"),
        ("by_category = true ", "by_category = \"yes\" ", "scoring.rule[1].by_category", "wrong_type"),
        ("hot = 60", "hot = 25", "temperature.hot", "out_of_range"),
        ("hysteresis = 5", "hysteresis = 35", "temperature.hysteresis", "out_of_range"),
        ("warm = 25", "", "temperature.warm", "missing"),
        ("name = \"retention\"", "name = \"research\"", "funnel.stage[3].name", "repeated"),
        ("enter_when = { returning_customer = true }", "", "funnel.stage[3].enter_when", "missing"),
        (
            "enter_when = { returning_customer = true }",
            "enter_when = { any = [{}] }",
            "funnel.stage[3].enter_when.any[0]",
            "bad_condition",
        ),
        ("name = \"warm-and-quiet\"", "name = \"abandoned-cart\"", "nurture[1].name", "repeated"),
        ("temperature = \"warm\"", "temperature = \"tepid\"", "nurture[1].start_when.temperature", "bad_word"),
        ("{ after = \"72h\"", "{ after = \"24h\"", "nurture[0].steps[1].after", "not_in_order"),
        ("after_quiet = \"3d\", ", "", "nurture[1].steps[0].after", "missing"),
        ("steps = [{ after_quiet = \"3d\", template = \"come-back\" }]", "steps = []", "nurture[1].steps", "missing"),
        ("at_most = {", "expire_after = \"4000d\"\nat_most = {", "nurture[0].expire_after", "out_of_range"),
        (
            "start_when = { temperature = \"warm\" }",
            "start_when = { stage = \"reserch\" }",
            "nurture[1].start_when.stage",
            "unknown_stage",
        ),
        (
            "{ any = [{ action = \"purchase\" }, { action = \"cart.emptied\" }] }",
            "{ action = \"cart.updated\" }",
            "nurture[0].stop_when",
            "bad_condition",
        ),
        (
            "[temperature]",
            "[consent]\nopt_out = [{ medium = \"email\" }]\n[temperature]",
            "consent.opt_out[0].action",
            "missing",
        ),
        (
            "[temperature]",
            "[consent]\nopt_in = [{ action = \"a\", closed = true }]\n[temperature]",
            "consent.opt_in[0].closed",
            "unknown_key",
        ),
        (
            "{ times = 2, within = \"30d\" }",
            "{ times = 2, within = \"0d\" }",
            "nurture[0].at_most.within",
            "out_of_range",
        ),
    ];
    for (from, to, path, code) in cases {
        let faults = faults_after(from, to);
        let found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.path.as_str(), fault.code)).collect();
        assert_eq!(found, [(path, code)], "{from:?} → {to:?}");
    }
}

/// The faults of the example with a rule against bots behind it.
fn bot_rule_faults(rule: &str) -> Vec<Fault> {
    read(&format!("{EXAMPLE}\n[[bot_rule]]\n{rule}\n"), None).err().unwrap_or_default()
}

#[test]
fn rules_against_bots_are_read_as_written() {
    let rules = "name = \"all\"\nagent_contains = [\"Bot\", \"crawler\"]\naddress_in = [\"203.0.113.0/24\", \"2001:db8::1\"]\nfaster_than = \"200ms\"\nat_least = 50\nwithin = \"1m\"\n[[bot_rule]]\nname = \"one\"\nagent_contains = \"spider\"";
    let document = read(&format!("{EXAMPLE}\n[[bot_rule]]\n{rules}\n"), None).unwrap();
    let scoring = &document.policy.scoring;
    let [all, one] = scoring.bot_rules.as_slice() else { panic!("two rules") };
    assert_eq!((all.sealed.len(), all.faster_than), (2, Some(Period::from_millis(200))));
    assert_eq!(all.burst.map(|burst| (burst.at_least, burst.within)), Some((50, Period::from_seconds(60))));
    assert_eq!(all.sealed[0].test, SealedTest::AgentContains(vec!["bot".into(), "crawler".into()]));
    assert!(one.burst.is_none() && one.faster_than.is_none());
    assert_eq!(scoring.sealed_tests().iter().filter(|test| test.key() == "agent_contains").count(), 2);
    assert!(example().policy.scoring.bot_rules.is_empty());
}

#[test]
fn each_fault_of_a_rule_against_bots_has_its_path_and_says_what_would_be_right() {
    let cases = [
        ("name = \"x\"", "bot_rule[0]", "bad_condition", "give agent_contains"),
        ("agent_contains = [\"bot\"]", "bot_rule[0].name", "missing", "is missing"),
        (
            "name = \"x\"\nagent_contain = [\"bot\"]\nfaster_than = \"1s\"",
            "bot_rule[0].agent_contain",
            "unknown_key",
            "\"agent_contains\"?",
        ),
        ("name = \"x\"\nagent_contains = []", "bot_rule[0].agent_contains", "missing", "is empty"),
        ("name = \"x\"\nagent_contains = [\"bot\", \" \"]", "bot_rule[0].agent_contains[1]", "missing", "is empty"),
        ("name = \"x\"\naddress_in = [\"203.0.113\"]", "bot_rule[0].address_in", "bad_network", "such as"),
        ("name = \"x\"\naddress_in = [\"203.0.113.0/33\"]", "bot_rule[0].address_in", "bad_network", "such as"),
        (
            "name = \"x\"\naddress_in = [\"203.0.113.9/24\"]",
            "bot_rule[0].address_in",
            "bad_network",
            "\"203.0.113.0/24\"",
        ),
        ("name = \"x\"\naddress_in = [7]", "bot_rule[0].address_in[0]", "wrong_type", "text"),
        ("name = \"x\"\nfaster_than = \"fast\"", "bot_rule[0].faster_than", "bad_duration", "\"200ms\""),
        ("name = \"x\"\nfaster_than = \"ms\"", "bot_rule[0].faster_than", "bad_duration", "\"200ms\""),
        ("name = \"x\"\nfaster_than = \"0ms\"", "bot_rule[0].faster_than", "out_of_range", "more than 0"),
        ("name = \"x\"\nfaster_than = \"2h\"", "bot_rule[0].faster_than", "out_of_range", "at most"),
        ("name = \"x\"\nat_least = 50", "bot_rule[0].within", "missing", "time to look back"),
        ("name = \"x\"\nwithin = \"1m\"", "bot_rule[0].at_least", "missing", "how many"),
        ("name = \"x\"\nat_least = 1\nwithin = \"1m\"", "bot_rule[0].at_least", "out_of_range", "from 2 to 1000"),
        ("name = \"x\"\nat_least = 9\nwithin = \"2d\"", "bot_rule[0].within", "out_of_range", "at most"),
        (
            "name = \"x\"\nagent_contains = \"a\"\n[[bot_rule]]\nname = \"x\"\nagent_contains = \"b\"",
            "bot_rule[1].name",
            "repeated",
            "twice",
        ),
    ];
    for (rule, path, code, part) in cases {
        let faults = bot_rule_faults(rule);
        let found = faults.iter().find(|fault| fault.path == path && fault.code == code);
        assert!(found.is_some_and(|fault| fault.message.contains(part)), "{rule}: {faults:?}");
        assert_eq!(faults.len(), 1, "{rule}: {faults:?}");
    }
    let faults = faults_after("name = \"spent a lot\"", "name = \"bot: spent\"");
    assert_eq!((faults[0].path.as_str(), faults[0].code), ("scoring.rule[3].name", "bad_name"));
}

#[test]
fn a_grid_is_read_and_its_faults_say_what_would_be_right() {
    let with = |grid: &str| read(&EXAMPLE.replace("[scoring]\n", &format!("[scoring]\ngrid = {grid}\n")), None);
    let document = with("{ fit = { A = 20, B = 10 }, engagement = { 1 = 50, 2 = 20 } }").unwrap();
    let grid = document.policy.scoring.grid.unwrap();
    assert_eq!((grid.fit.best, grid.fit.second, grid.engagement.best, grid.engagement.second), (20, 10, 50, 20));
    assert_eq!(example().policy.scoring.grid, None);
    let cases = [
        ("{ fit = { A = 20, B = 10 } }", "scoring.grid.engagement", "missing", "{ 1 = …, 2 = … }"),
        (
            "{ fit = { A = 20, B = 10 }, engagement = { 1 = 20, 2 = 50 } }",
            "scoring.grid.engagement.1",
            "out_of_range",
            "swapped?",
        ),
        (
            "{ fit = { A = 10, B = 10 }, engagement = { 1 = 50, 2 = 20 } }",
            "scoring.grid.fit.A",
            "out_of_range",
            "more than B, which is 10",
        ),
        (
            "{ fit = { A = 10, B = 0 }, engagement = { 1 = 50, 2 = 20 } }",
            "scoring.grid.fit.B",
            "out_of_range",
            "from 1",
        ),
        (
            "{ fit = { A = 10, B = 5, c = 1 }, engagement = { 1 = 50, 2 = 20 } }",
            "scoring.grid.fit.c",
            "unknown_key",
            "did you mean",
        ),
        ("{ fit = { A = 10 }, engagement = { 1 = 50, 2 = 20 } }", "scoring.grid.fit.B", "missing", "is missing"),
        ("\"A1\"", "scoring.grid", "wrong_type", "table"),
    ];
    for (grid, path, code, part) in cases {
        let faults = with(grid).err().unwrap_or_default();
        assert!(
            faults.iter().any(|it| it.path == path && it.code == code && it.message.contains(part)),
            "{grid}: {faults:?}"
        );
        assert_eq!(faults.len(), 1, "{grid}: {faults:?}");
    }
}

#[test]
fn all_faults_of_a_document_are_named_at_once() {
    let text = EXAMPLE
        .replace("\"EUR\"", "\"Euro\"")
        .replace("close_after = \"7d\"", "close_after = \"soon\"")
        .replace("also_allowed = [\"broadband\"]", "also_allowed = [\"cable\"]")
        .replace("hysteresis = 5", "hystresis = 5")
        .replace("template = \"cart-offer\"", "template = 7");
    let faults = read(&text, None).unwrap_err();
    let mut found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.path.as_str(), fault.code)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("currency", "bad_currency"),
            ("lead_type[0].close_after", "bad_duration"),
            ("nurture[0].steps[1].template", "wrong_type"),
            ("skill[0].also_allowed[0]", "unknown_lead_type"),
            ("temperature.hystresis", "unknown_key"),
        ]
    );
    let unknown = faults.iter().find(|fault| fault.code == "unknown_key").unwrap();
    assert!(unknown.message.contains("\"hysteresis\""), "{}", unknown.message);
}

#[test]
fn what_counts_as_consent_is_the_tenants_to_say() {
    let consent = "[consent]\nrequired = true\nopt_in = [{ action = \"newsletter.subscribed\", medium = \"email\" }]\n\
                   opt_out = [{ action_prefix = \"stop.\" }]\n[temperature]";
    let document = read(&EXAMPLE.replace("[temperature]", consent), None).unwrap();
    let rules = &document.policy.nurture.consent;
    assert!(rules.required);
    assert_eq!(rules.opt_in[0].medium.as_deref(), Some("email"));
    assert_eq!(rules.opt_out[0].when.action_prefix.as_deref(), Some("stop."));
    assert_eq!(rules.opt_out[0].medium, None, "for all media");
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    let faults = read("tenant = \"acme\"\ncurrency = = 5\n", None).unwrap_err();
    assert_eq!((faults.len(), faults[0].code), (1, "syntax"));
    assert!(faults[0].message.starts_with("line 2, column 12:"), "{}", faults[0].message);
}

#[test]
fn a_lead_type_of_the_version_in_force_must_stay() {
    let previous = example().policy;
    let text = EXAMPLE.replace("\"broadband\"", "\"cable\"").replace("tenant = \"acme\"", "tenant = \"zenith\"");
    let faults = read(&text, Some(&previous)).unwrap_err();
    let found: Vec<&str> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(found, ["other_tenant", "deleted_lead_type"]);
    assert!(read(EXAMPLE, Some(&previous)).is_ok());
}

#[test]
fn an_empty_document_says_what_is_needed() {
    let faults = read("", None).unwrap_err();
    let found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.path.as_str(), fault.code)).collect();
    let needed = ["tenant", "currency", "time_zone", "phone_region", "lead_type"];
    assert_eq!(found, needed.map(|path| (path, "missing")));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", place in 0..4_000_usize, length in 0..200_usize) {
        let _ = read(&text, None);
        let cut: String = EXAMPLE.chars().take(place).chain(EXAMPLE.chars().skip(place + length)).collect();
        let _ = read(&cut, None);
    }
}
