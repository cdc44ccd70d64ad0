use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn header(facts: &[u8], personal: &[u8]) -> Header {
    Header {
        codec: 1,
        kind: RecordKind(2),
        tenant: 0x0304_0506,
        position: LogPosition(0x0708_090a_0b0c_0d0e),
        visitor: 0x0f10_1112_1314_1516,
        feed_sequence: 0x1718_191a_1b1c_1d1e,
        occurred_at: 0x1f20_2122_2324_2526,
        received_at: 0x2728_292a_2b2c_2d2e,
        recorded_at: -2,
        previous: LogPosition(0x2f30_3132_3334_3536),
        key: 0x3738_393a_3b3c_3d3e,
        facts_len: u32::try_from(facts.len()).unwrap(),
        personal_len: u32::try_from(personal.len()).unwrap(),
    }
}

const BEFORE: Chain = Chain([0xC4; 32]);

fn written(header: &Header, facts: &[u8], personal: &[u8]) -> (Vec<u8>, Chain) {
    let mut bytes = Vec::new();
    let chain = Record::write(header, BEFORE, facts, &mut bytes);
    bytes.extend_from_slice(personal);
    (bytes, chain)
}

#[test]
fn a_record_is_these_bytes() {
    let (facts, personal) = (b"facts", b"sealed");
    let (bytes, chain) = written(&header(facts, personal), facts, personal);

    let fixture = include_str!("../../fixtures/record-format-1.hex");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, fixture.split_whitespace().collect::<String>());

    let covered = [&BEFORE.0[..], &bytes[..80], facts].concat();
    assert_eq!(chain.0, *blake3::hash(&covered).as_bytes());
}

#[test]
fn every_flipped_bit_of_header_chain_and_facts_is_found() {
    let (facts, personal) = (b"the facts of a record", b"the sealed part");
    let header = header(facts, personal);
    let (bytes, _) = written(&header, facts, personal);
    let check = |bytes: &[u8]| Record::read(bytes).and_then(|record| record.follows(header.position, BEFORE));
    assert_eq!(check(&bytes), Ok(()));
    for bit in 0..(HEADER_BYTES + facts.len()) * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn the_chain_is_the_same_whatever_the_personal_part_holds() {
    let header = header(b"facts", b"one");
    assert_eq!(written(&header, b"facts", b"one").1, written(&header, b"facts", b"two").1);
}

#[test]
fn a_record_elsewhere_or_behind_another_is_refused() {
    let header = header(b"", b"");
    let (bytes, _) = written(&header, b"", b"");
    let record = Record::read(&bytes).unwrap();
    let elsewhere = record.follows(header.position.next(), BEFORE);
    assert_eq!(elsewhere, Err(RecordError::Position { found: header.position }));
    assert_eq!(record.follows(header.position, Chain::default()), Err(RecordError::Chain));
}

#[test]
fn a_newer_format_and_a_reserved_byte_are_named() {
    let (mut bytes, _) = written(&header(b"", b""), b"", b"");
    bytes[3] = 1;
    assert_eq!(Record::read(&bytes), Err(RecordError::Reserved));
    bytes[0] = 2;
    assert_eq!(Record::read(&bytes), Err(RecordError::Format { found: 2 }));
}

proptest! {
    #[test]
    fn a_record_reads_as_it_was_written(
        small in any::<(u8, u8, u32, [u64; 5], [i64; 3])>(),
        chain in any::<[u8; 32]>(),
        facts in vec(any::<u8>(), 0..300),
        personal in vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let (codec, kind, tenant, words, times) = small;
        let [position, visitor, feed_sequence, previous, key] = words;
        let [occurred_at, received_at, recorded_at] = times;
        let header = Header {
            codec, kind: RecordKind(kind), tenant, position: LogPosition(position), visitor, feed_sequence,
            occurred_at, received_at, recorded_at, previous: LogPosition(previous), key,
            ..header(&facts, &personal)
        };
        let before = Chain(chain);
        let mut bytes = b"in front".to_vec();
        let chain = Record::write(&header, before, &facts, &mut bytes);
        bytes.extend_from_slice(&personal);
        let bytes = &bytes[8..];

        let record = Record::read(bytes).unwrap();
        prop_assert_eq!(record.header, header);
        prop_assert_eq!(record.chain, chain);
        prop_assert_eq!(record.facts, &facts[..]);
        prop_assert_eq!(record.personal, &personal[..]);
        prop_assert_eq!(record.follows(header.position, before), Ok(()));

        let short = &bytes[..cut.index(bytes.len())];
        let refused = matches!(Record::read(short), Err(RecordError::Length { .. }));
        prop_assert!(refused);
        let long = [bytes, &[0]].concat();
        let refused = matches!(Record::read(&long), Err(RecordError::Length { .. }));
        prop_assert!(refused);
    }
}
