//! The shim knows actions, ends and dismissals by numbers of its own: they must be those of the core.

use ftpdlite::protocol::listing::Permission;
use ftpdlite::protocol::session::{Action, Dismissal, End};

/// The number that the shim has for a name; each of its files that has one has the same.
fn constant(name: &str) -> u32 {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/py/ftpdlite")).unwrap();
    let mut found: Vec<u32> = Vec::new();
    for file in folder {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let line = format!("\n_{name} = const(");
        found.extend(source.match_indices(&line).map(|(at, _)| {
            let number = source[at + line.len()..].split(')').next().unwrap();
            number.parse::<u32>().unwrap()
        }));
    }
    found.dedup();
    assert_eq!(found.len(), 1, "the shim's numbers for _{name}: {found:?}");
    found[0]
}

#[test]
fn the_shim_numbers_what_the_core_numbers() {
    for (name, number) in [
        ("START_TLS", Action::StartTls as u32),
        ("LOGIN", Action::Login as u32),
        ("RESET", Action::Reset as u32),
        ("MAKE_DIRECTORY", Action::MakeDirectory as u32),
        ("REMOVE_DIRECTORY", Action::RemoveDirectory as u32),
        ("REMOVE_FILE", Action::RemoveFile as u32),
        ("RENAME_FROM", Action::RenameFrom as u32),
        ("RENAME", Action::Rename as u32),
        ("PASSIVE", Action::Passive as u32),
        ("PASSIVE_IPV4", Action::PassiveIpv4 as u32),
        ("UNLISTEN", Action::Unlisten as u32),
        ("OPEN_READ", Action::OpenRead as u32),
        ("OPEN_WRITE", Action::OpenWrite as u32),
        ("OPEN_APPEND", Action::OpenAppend as u32),
        ("OPEN_LIST", Action::OpenList as u32),
        ("ABORT", Action::Abort as u32),
        ("CLOSE_FILE", Action::CloseFile as u32),
        ("SPACE", Action::Space as u32),
        ("MEMORY", Action::Memory as u32),
        ("COLLECT", Action::Collect as u32),
        ("UPTIME", Action::Uptime as u32),
        ("WHO", Action::Who as u32),
        ("HASH_PASSWORD", Action::HashPassword as u32),
        ("KICK", Action::Kick as u32),
        ("SHUTDOWN", Action::Shutdown as u32),
        ("HASH", Action::Hash as u32),
        ("SET_TIME", Action::SetTime as u32),
        ("CHECKSUM", Action::Checksum as u32),
        ("NO_CONNECTION", End::NoConnection as u32),
        ("BROKEN", End::Broken as u32),
        ("LOCAL_ERROR", End::LocalError as u32),
        ("NO_SPACE", End::NoSpace as u32),
        ("ABORTED", End::Aborted as u32),
        ("NEGOTIATION", End::Negotiation as u32),
        ("BUSY", End::Busy as u32),
        ("KICKED", Dismissal::Kicked as u32),
        ("STOPPED", Dismissal::Shutdown as u32),
        ("TOO_MANY", Dismissal::TooMany as u32),
        ("BLOCKED", Dismissal::Blocked as u32),
        ("DISPLACED", Dismissal::Displaced as u32),
    ] {
        assert_eq!(constant(name), number, "_{name}");
    }
    assert_eq!(Permission::from_bits(constant("READ") as u8), Permission::READ_ONLY);
    assert_eq!(Permission::from_bits(constant("ALL") as u8), Permission::ALL);
}

#[test]
fn an_end_is_its_number() {
    for end in [
        End::Complete,
        End::NoConnection,
        End::Broken,
        End::LocalError,
        End::NoSpace,
        End::Aborted,
        End::Negotiation,
        End::Busy,
    ] {
        assert_eq!(End::from_number(end as u32), end);
    }
}
