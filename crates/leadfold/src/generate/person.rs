//! Made-up people: what identifies them and what they would ever tell. Knows nothing of what they do.
//!
//! Everything about a person follows from the run and the person's number, so nothing is stored.

use super::calendar::write_padded;
use super::catalogue::{DEVICES, Device, FIRST_NAMES, HOMES, Home, LAST_NAMES};
use super::dice::{entry, mix};

/// Odd, no multiple of 5 and no multiple of 3: multiplying by it meets every remainder of the moduli below once.
const SCATTER: u64 = 61_803_399_887;
const PHONE_NUMBERS: u64 = 100_000_000;
/// Six letters or digits.
const MAIL_CODES: u64 = 36_u64.pow(6);
const CUSTOMER_NUMBERS: u64 = 100_000_000;

/// Which identifiers an interaction shows, or a person would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shows(u8);

impl Shows {
    pub(super) const NOTHING: Self = Self(0);
    pub(super) const DEVICE: Self = Self(1);
    pub(super) const EMAIL: Self = Self(2);
    pub(super) const PHONE: Self = Self(4);
    pub(super) const CUSTOMER: Self = Self(8);

    pub(super) const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// What is in both.
    pub(super) const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }
}

/// One of the people.
#[derive(Clone, Copy)]
pub(super) struct Person {
    run: u64,
    number: u64,
    traits: u64,
}

/// What is drawn from a person's traits, each independent of the others.
#[derive(Clone, Copy)]
enum Trait {
    Tells = 1,
    Devices,
    Patience,
    FirstName,
    LastName,
    Home,
    MailHost,
    DeviceId,
    DeviceKind,
}

impl Person {
    /// The person with that number in that run.
    pub(super) const fn new(run: u64, number: u64) -> Self {
        Self { run, number, traits: mix(run ^ mix(number)) }
    }

    const fn draw(&self, what: Trait) -> u64 {
        mix(self.traits.wrapping_add(what as u64))
    }

    /// What the person would tell, given time: almost half stay anonymous. Who shares something has an account.
    pub(super) const fn tells(&self) -> Shows {
        if self.shared().0 != 0 {
            return Shows::EMAIL.and(Shows::CUSTOMER);
        }
        let draw = self.draw(Trait::Tells);
        let mut tells = Shows::NOTHING;
        if draw % 100 < 55 {
            tells = tells.and(Shows::EMAIL);
            if draw / 100 % 100 < 60 {
                tells = tells.and(Shows::CUSTOMER);
            }
        }
        if draw / 10_000 % 100 < 26 {
            tells = tells.and(Shows::PHONE);
        }
        tells
    }

    /// After how many touches the person tells something.
    pub(super) const fn patience(&self) -> u16 {
        (self.draw(Trait::Patience) % 6) as u16
    }

    /// Whether the person uses a second device.
    pub(super) const fn has_two_devices(&self) -> bool {
        self.draw(Trait::Devices) % 100 < 25
    }

    /// Where the person lives.
    pub(super) fn home(&self) -> Home {
        entry(&HOMES, self.draw(Trait::Home))
    }

    /// The model of the person's device.
    pub(super) fn device(&self, slot: u8) -> Device {
        entry(&DEVICES, self.draw(Trait::DeviceKind).wrapping_add(u64::from(slot) * 3))
    }

    /// What the person shares with the one whose number differs in the last bit only, if they live together.
    const fn shared(&self) -> Shows {
        match mix(self.run ^ !(self.number >> 1)) % 40 {
            0 => Shows::EMAIL,
            1 => Shows::DEVICE,
            _ => Shows::NOTHING,
        }
    }

    /// Whose mailbox or device this person uses: now and then somebody else's.
    const fn owner_of(&self, what: Shows) -> Self {
        if self.shared().has(what) { Self::new(self.run, self.number & !1) } else { *self }
    }

    /// A number below `modulus` that no other person of the run has.
    const fn own_number(&self, modulus: u64) -> u64 {
        ((self.number as u128 * SCATTER as u128 + self.run as u128) % modulus as u128) as u64
    }

    /// Appends the cookie of one of the person's devices.
    pub(super) fn write_device_id(&self, slot: u8, out: &mut Vec<u8>) {
        let owner = if slot == 0 { self.owner_of(Shows::DEVICE) } else { *self };
        let mut bits = mix(owner.draw(Trait::DeviceId).wrapping_add(u64::from(slot)));
        out.extend_from_slice(b"d-");
        for _ in 0..14 {
            out.push(entry(b"0123456789abcdef", bits & 15));
            bits >>= 4;
        }
    }

    /// Appends the person's e-mail address, now and then (by `noise`) as people type it.
    pub(super) fn write_email(&self, noise: u64, out: &mut Vec<u8>) {
        let owner = self.owner_of(Shows::EMAIL);
        let typed = noise.is_multiple_of(12);
        let (first, last) = owner.name_parts();
        write_word(first.1, typed, out);
        out.push(b'.');
        write_word(last.1, typed, out);
        out.push(b'.');
        let mut code = owner.own_number(MAIL_CODES);
        for _ in 0..6 {
            out.push(entry(b"0123456789abcdefghijklmnopqrstuvwxyz", code % 36));
            code /= 36;
        }
        out.push(b'@');
        write_word("example.", typed, out);
        out.extend_from_slice(entry(&["com", "org", "net"], owner.draw(Trait::MailHost)).as_bytes());
    }

    /// Appends the person's phone number, in one of the ways (by `noise`) in which people write it.
    pub(super) fn write_phone(&self, noise: u64, out: &mut Vec<u8>) {
        let prefix = entry(&["+49151", "+49151", "+49151", "0151 ", "+49 151 ", "0049151"], noise);
        out.extend_from_slice(prefix.as_bytes());
        write_padded(self.own_number(PHONE_NUMBERS), 8, out);
    }

    /// Appends the number that the shop knows the person by.
    pub(super) fn write_customer_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"K-");
        write_padded(self.own_number(CUSTOMER_NUMBERS), 8, out);
    }

    /// Appends first and last name.
    pub(super) fn write_name(&self, out: &mut Vec<u8>) {
        let (first, last) = self.name_parts();
        out.extend_from_slice(first.0.as_bytes());
        out.push(b' ');
        out.extend_from_slice(last.0.as_bytes());
    }

    fn name_parts(&self) -> ((&'static str, &'static str), (&'static str, &'static str)) {
        (entry(&FIRST_NAMES, self.draw(Trait::FirstName)), entry(&LAST_NAMES, self.draw(Trait::LastName)))
    }
}

/// Appends an ASCII word, with a capital where `typed`.
fn write_word(word: &str, typed: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(word.as_bytes());
    if let Some(first) = out.get_mut(start).filter(|_| typed) {
        first.make_ascii_uppercase();
    }
}
