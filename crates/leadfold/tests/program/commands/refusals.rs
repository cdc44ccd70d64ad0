//! What must not be: refused with a sentence, without a trace.

use super::small_shop;

/// What is asked, and the sentence.
pub(crate) const REFUSALS: &[(&[&str], &str)] = &[
    (&["lead", "V9-1"], "there is no lead V9-1"),
    (&["lead", "V9-1", "--timeline"], "there is no lead V9-1"),
    (&["lead", "V9-1", "reopen"], "there is no lead V9-1"),
    (&["lead", "V1-7", "note", "x"], "there is no lead V1-7"),
    (&["lead", "V1-1", "reopen"], "lead V1-1 is open already"),
    (
        &["lead", "V1-1", "close", "--reason", "bored"],
        "\"bored\" is no close reason of this tenant; see close_reasons in the policy",
    ),
    (&["lead", "V2-1", "close", "--reason", "duplicate"], "lead V2-1 is closed (operator); reopen it first"),
    (&["lead", "V2-1", "convert"], "lead V2-1 is closed (operator); reopen it first"),
    (&["lead", "V2-1", "type", "tablets"], "lead V2-1 is closed (operator); reopen it first"),
    (&["lead", "V1-1", "type", "shopping"], "lead V1-1 is of type \"shopping\" already"),
    (&["lead", "V1-1", "type", "rockets"], "there is no lead type \"rockets\" in the policy"),
    (&["lead", "V1-1", "type", "trade-in"], "lead type \"trade-in\" is inactive"),
    (&["lead", "V1-1", "withdraw"], "lead V1-1 has no such counted conversion to withdraw"),
    (&["lead", "V1-1", "convert", "--order", "A-1"], "this order already counts for lead V3-1; an order counts once"),
    (&["orphan", "I2", "adopt", "--lead", "V1-2"], "there is no interaction I2"),
    (&["orphan", "I1", "adopt", "--lead", "V1-2"], "there is no interaction I1"),
    (&["orphan", "I999", "adopt", "--lead", "V1-2"], "there is no interaction I999"),
    (&["orphan", "I3", "adopt", "--lead", "V4-1"], "lead V4-1 belongs to another visitor; merge the visitors first"),
    (&["orphan", "I3", "adopt", "--lead-type", "rockets"], "there is no lead type \"rockets\" in the policy"),
    (&["interaction", "I5", "move", "--to", "V1-1"], "interaction I5 is in lead V1-1 already"),
    (&["interaction", "I5", "move", "--to", "V4-1"], "lead V4-1 belongs to another visitor; merge the visitors first"),
    (&["interaction", "I3", "move", "--to", "V1-1"], "there is no interaction I3"),
    (&["interaction", "I3", "discredit"], "interaction I3 is an orphan and has brought no points"),
    (&["interaction", "I999", "discredit"], "there is no interaction I999"),
    (&["visitor", "V9"], "there is no visitor V9"),
    (&["visitor", "V9", "--timeline"], "there is no visitor V9"),
    (&["visitor", "V1", "merge", "V9"], "there is no visitor V9"),
    (&["visitor", "V1", "merge", "V1"], "V1 and V1 are one visitor already"),
    (&["visitor", "V4", "merge", "V5"], "V4 and V5 have different customer ids, so they are never one visitor"),
    (&["visitor", "V1", "unmerge"], "V1 is not merged into another visitor"),
    (&["visitor", "V1", "settle", "V2"], "V1 and V2 are not suspected duplicates of each other"),
    (&["visitor", "V1", "open", "trade-in"], "lead type \"trade-in\" is inactive"),
    (&["quarantine", "2"], "no quarantined input stands at position 2"),
    (
        &["leads", "--tenant", "nobody"],
        "there is no tenant \"nobody\"; adopt a policy for it first (`leadfold policy adopt FILE`)",
    ),
];

#[test]
fn what_must_not_be_is_refused_with_a_sentence_and_leaves_no_trace() {
    let folder = small_shop();
    folder.done(["lead", "V2-1", "close", "--reason", "duplicate"]);
    folder.done(["lead", "V3-1", "convert", "--order", "A-1"]);
    let before = folder.picture();
    for (args, sentence) in REFUSALS {
        let run = folder.run(args.iter().copied());
        assert_eq!(run.failed(1), format!("error: {sentence}"), "{args:?}");
        assert_eq!(run.stdout, "");
    }
    folder.picture().assert_same(&before);
}
