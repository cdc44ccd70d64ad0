//! How events change what a book keeps of nurture programmes.

use super::Shelf;
use crate::event::Event;
use crate::nurture::{Consent, Run};

impl Shelf {
    /// Events about consent and programmes.
    pub(super) fn change_nurture(&mut self, event: &Event) {
        if let Event::ConsentChanged { visitor, medium, given, at } = event {
            let Some(book) = self.book_mut(*visitor) else { return };
            let consent = Consent { by: *visitor, medium: medium.clone(), at: *at, given: *given };
            book.nurture_mut().agree(consent);
            return;
        }
        let Some(lead) = event.leads().first().copied() else { return };
        let Some(nurture) = self.book_mut(lead.visitor).map(|book| book.nurture_mut()) else { return };
        if let Event::NurtureStarted { programme, at, interaction, wait, .. } = event {
            nurture.begin(Run {
                programme: programme.clone(),
                lead,
                started_at: *at,
                interaction: *interaction,
                step: 0,
                since: *at,
                wait: *wait,
            });
        } else if let Event::NurtureStepDue { programme, step, at, wait: Some(wait), .. }
        | Event::NurtureStepSuppressed { programme, step, at, wait: Some(wait), .. } = event
        {
            // Steps are numbered from 1, so the number is the place of the next one.
            nurture.step(programme, lead, *step, *at, *wait);
        } else if let Event::NurtureStopped { programme, .. } = event {
            nurture.end(programme, lead);
        }
    }
}
