//! Keys are made, found, refused and revoked as promised, by several processes and across crashes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use access::{
    ACCESS_FILE, AccessError, Denied, Guard, KeyId, KeyRecord, KeyStore, NewKey, Permission, Role, Scope, Token,
};
use chrono::{DateTime, Utc};
use tempfile::{TempDir, tempdir};

/// Tells a process of this program to make keys in a folder instead of testing.
const WORKER_FOLDER: &str = "LEADFOLD_TEST_ACCESS_FOLDER";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 123_456_789).unwrap()
}

fn new(role: Role, tenant: &str) -> NewKey {
    NewKey { role, tenant: tenant.parse().unwrap(), name: None, now: at(0) }
}

fn store(folder: &TempDir) -> KeyStore {
    KeyStore::open(folder.path()).unwrap()
}

fn key(store: &KeyStore) -> (Token, KeyRecord) {
    store.create(new(Role::Operator, "shop")).unwrap()
}

fn worker(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(WORKER_FOLDER, folder).stdout(Stdio::null()).spawn().unwrap()
}

fn told_folder() -> Option<KeyStore> {
    std::env::var_os(WORKER_FOLDER).map(|folder| KeyStore::open(Path::new(&folder)).unwrap())
}

#[test]
fn the_holder_of_a_key_is_let_in_as_what_the_key_says() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let guard = store.guard().unwrap();
    for role in Role::ALL {
        let (token, record) = store.create(new(role, "shop")).unwrap();
        let principal = guard.authenticate(token.expose()).unwrap();
        assert_eq!((principal.key_id, principal.role), (record.id, role));
        assert!(principal.reaches("shop") && !principal.reaches("other"));
        for permission in Permission::ALL {
            assert_eq!(principal.allows(permission), role.allows(permission));
        }
    }
    let (token, _) = store.create(new(Role::Admin, "*")).unwrap();
    let principal = guard.authenticate(token.expose()).unwrap();
    assert_eq!(principal.tenant, Scope::All);
    assert!(principal.reaches("shop") && principal.reaches("other"));
}

#[test]
fn nobody_is_let_in_with_anything_but_the_whole_token() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let guard = store.guard().unwrap();
    let ((one, _), (other, _)) = (key(&store), key(&store));
    let (one, other) = (one.expose(), other.expose());
    let flipped = one.strip_suffix(|_| true).unwrap().to_owned() + if one.ends_with('A') { "B" } else { "A" };
    let crossed = format!("{}{}", one.get(..12).unwrap(), other.get(12..).unwrap());
    let unknown = one.replacen(one.get(3..11).unwrap(), "zzzzzzzz", 1);
    for wrong in ["", one.get(..54).unwrap(), &format!("{one}A"), &format!(" {one}"), &flipped, &crossed, &unknown] {
        assert!(matches!(guard.authenticate(wrong), Err(Denied::Unknown)), "{wrong}");
    }
    assert!(guard.authenticate(one).is_ok() && guard.authenticate(other).is_ok());
}

#[test]
fn a_revoked_key_is_refused_at_once_by_guards_that_knew_it() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let ((token, record), (other, _)) = (key(&store), key(&store));
    let guards = [store.guard().unwrap(), Guard::open(folder.path()).unwrap()];
    for guard in &guards {
        assert!(guard.clone().authenticate(token.expose()).is_ok());
    }
    let revoked = KeyStore::open(folder.path()).unwrap().revoke(record.id, at(9)).unwrap();
    assert_eq!(revoked.revoked_at.unwrap().to_rfc3339(), "2023-11-14T22:13:29.123+00:00");
    for guard in &guards {
        assert!(matches!(guard.authenticate(token.expose()), Err(Denied::Revoked { id }) if id == record.id));
        assert!(guard.authenticate(other.expose()).is_ok());
    }
    assert_eq!(store.revoke(record.id, at(99)).unwrap(), revoked, "revoking again changes nothing");
    assert_eq!(store.list().unwrap().first(), Some(&revoked));
    let nobody: KeyId = "zzzzzzzz".parse().unwrap();
    assert!(matches!(store.revoke(nobody, at(9)), Err(AccessError::UnknownKey { id }) if id == nobody));
}

#[test]
fn the_guard_is_open_only_until_the_first_key_was_made() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let guard = store.guard().unwrap();
    assert!(guard.is_open());
    let (_, record) = key(&store);
    assert!(!guard.is_open());
    store.revoke(record.id, at(1)).unwrap();
    assert!(!guard.is_open() && !Guard::open(folder.path()).unwrap().is_open());
}

#[test]
fn nobody_is_let_in_while_the_keys_cannot_be_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join(ACCESS_FILE);
    let store = store(&folder);
    let (token, _) = key(&store);
    let guard = store.guard().unwrap();
    let good = fs::read(&path).unwrap();
    let newer = good.iter().map(|byte| if *byte == b'1' { b'7' } else { *byte }).collect::<Vec<u8>>();
    let none = b"{ \"format\": 1, \"keys\": [] }".to_vec();
    for (bad, said) in [
        (Some(good.get(..good.len() / 2).unwrap().to_vec()), "damaged: line"),
        (Some(Vec::new()), "damaged: line 1, column 0"),
        (Some(newer), "has format 7, this program knows 1. Use a newer program"),
        (Some(none), "is gone or empty now"),
        (None, "is gone or empty now"),
    ] {
        match bad {
            Some(bad) => fs::write(&path, bad).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for _ in 0..2 {
            let Err(Denied::Unreadable { source }) = guard.authenticate(token.expose()) else { panic!("{said}") };
            assert!(source.to_string().contains(said), "{source}");
            assert!(!guard.is_open(), "{said}");
        }
        fs::write(&path, &good).unwrap();
        assert!(guard.authenticate(token.expose()).is_ok(), "{said}");
    }
}

#[test]
fn a_damaged_file_is_named_and_never_overwritten() {
    let folder = tempdir().unwrap();
    let path = folder.path().join(ACCESS_FILE);
    let before = store(&folder);
    let (_, record) = key(&before);
    let good = fs::read_to_string(&path).unwrap();
    let twice = good.replacen('[', &format!("[{},", good.split_once('[').unwrap().1.rsplit_once(']').unwrap().0), 1);
    for (bad, said) in [
        (good.replace("\"operator\"", "\"owner\""), "damaged: line"),
        (good.replace("\"shop\"", "\"*\""), "for all tenants"),
        (twice, "two keys have the id"),
        (good.replace("\"hash\": \"", "\"hash\": \"0"), "damaged: line"),
    ] {
        fs::write(&path, &bad).unwrap();
        let errors = [
            KeyStore::open(folder.path()).map(drop),
            Guard::open(folder.path()).map(drop),
            before.create(new(Role::Admin, "shop")).map(drop),
            before.revoke(record.id, at(0)).map(drop),
            before.list().map(drop),
        ];
        for error in errors {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(ACCESS_FILE) && error.contains("backup"), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
}

#[test]
fn neither_token_nor_hash_is_shown_and_the_token_is_not_stored() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let name = Some("Anna's laptop".to_owned());
    let (token, record) = store.create(NewKey { name, ..new(Role::Analyst, "shop") }).unwrap();
    let secret = token.expose().get(12..).unwrap();
    let file = fs::read_to_string(folder.path().join(ACCESS_FILE)).unwrap();
    let hash = file.split_once("\"hash\": \"").unwrap().1.get(..64).unwrap();
    let listed = serde_json::to_string(&store.list().unwrap()).unwrap();
    for shown in [&format!("{token:?} {record:?} {store:?}"), &listed] {
        assert!(!shown.contains(secret) && !shown.contains(hash), "{shown}");
    }
    assert!(!file.contains(secret));
    assert!(
        listed.contains("Anna's laptop") && listed.contains("\"created_at\":\"2023-11-14T22:13:20.123Z\""),
        "{listed}"
    );
}

#[test]
fn the_file_is_its_owners_alone_even_where_a_readable_one_was_left_over() {
    let folder = tempdir().unwrap();
    let leftover = folder.path().join("access.json.new");
    fs::write(&leftover, "half a fi").unwrap();
    fs::set_permissions(&leftover, fs::Permissions::from_mode(0o644)).unwrap();
    let store = store(&folder);
    key(&store);
    let mode = fs::metadata(folder.path().join(ACCESS_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!leftover.exists());
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn keys_that_must_not_be_are_refused_without_a_change() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    for role in [Role::Publisher, Role::Operator, Role::Analyst, Role::Auditor] {
        assert!(matches!(store.create(new(role, "*")), Err(AccessError::AllTenants { role: named }) if named == role));
    }
    for tenant in ["", "Shop", "*"] {
        let new = NewKey { tenant: Scope::One(tenant.to_owned()), ..new(Role::Admin, "shop") };
        assert!(matches!(store.create(new), Err(AccessError::BadTenant)), "{tenant}");
    }
    for name in ["a\nb".to_owned(), "a".repeat(201)] {
        let new = NewKey { name: Some(name), ..new(Role::Admin, "shop") };
        assert!(matches!(store.create(new), Err(AccessError::BadName { .. })));
    }
    assert!(store.list().unwrap().is_empty() && !folder.path().join(ACCESS_FILE).exists());
}

#[test]
fn processes_and_their_threads_that_make_keys_at_once_lose_none() {
    let make_some = |store: &KeyStore| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..10).for_each(|_| drop(key(store))));
            }
        });
    };
    if let Some(store) = told_folder() {
        return make_some(&store);
    }
    let folder = tempdir().unwrap();
    let guard = Guard::open(folder.path()).unwrap();
    let test = "processes_and_their_threads_that_make_keys_at_once_lose_none";
    let workers = [worker(test, folder.path()), worker(test, folder.path())];
    let (mine, record) = key(&store(&folder));
    make_some(&store(&folder));
    store(&folder).revoke(record.id, at(1)).unwrap();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let keys = store(&folder).list().unwrap();
    assert_eq!(keys.iter().map(|key| key.id).collect::<BTreeSet<_>>().len(), 61);
    assert!(keys.iter().any(|key| key.id == record.id && key.revoked_at.is_some()), "the revocation was lost");
    assert!(matches!(guard.authenticate(mine.expose()), Err(Denied::Revoked { .. })));
}

#[test]
fn a_process_killed_while_it_makes_keys_leaves_the_file_whole_and_unlocked() {
    if let Some(store) = told_folder() {
        loop {
            key(&store);
        }
    }
    let folder = tempdir().unwrap();
    let test = "a_process_killed_while_it_makes_keys_leaves_the_file_whole_and_unlocked";
    let mut known = 0;
    for _ in 0..5 {
        let mut worker = worker(test, folder.path());
        while store(&folder).list().unwrap().len() < known + 4 {
            thread::yield_now();
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        let (token, _) = key(&store(&folder));
        assert!(Guard::open(folder.path()).unwrap().authenticate(token.expose()).is_ok());
        known = store(&folder).list().unwrap().len();
    }
}

#[test]
fn requests_are_answered_rightly_while_keys_come_and_go() {
    let folder = tempdir().unwrap();
    let store = store(&folder);
    let guard = store.guard().unwrap();
    let (steady, _) = key(&store);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..2_000 {
                assert!(guard.authenticate(steady.expose()).is_ok());
                assert!(!guard.is_open());
            }
        });
        while !asking.is_finished() {
            let (token, record) = key(&store);
            assert!(guard.authenticate(token.expose()).is_ok());
            store.revoke(record.id, at(1)).unwrap();
            assert!(guard.authenticate(token.expose()).is_err());
        }
    });
}
