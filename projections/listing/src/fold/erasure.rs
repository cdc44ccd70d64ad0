//! What an erasure takes out of the rows: everything that says who it was, nothing that counts.

use lead_domain::{LeadId, VisitorId};
use projector::{FoldError, ModelError};

use super::Setting;
use crate::listing::Listing;
use crate::state::attributes::Attributes;
use crate::state::contact::Contact;

impl Listing {
    pub(super) fn erase(&mut self, setting: &Setting<'_>, members: &[VisitorId]) -> Result<(), FoldError> {
        self.mark_unclean().map_err(|source| ModelError(Box::new(source)))?;
        for member in members {
            let visitor = self.visitor_mut(*member)?;
            visitor.identifiers.clear();
            visitor.own = Contact::default();
            visitor.joint = visitor.joint.take().map(|_| Box::default());
            visitor.shown_changed = true;
            for ordinal in 1..=self.visitor(*member)?.leads_opened {
                let lead = self.lead_mut(LeadId { visitor: *member, ordinal })?;
                lead.customer_id = None;
                lead.attributes = Attributes::default();
                lead.notes = Vec::new();
                lead.index_changed = true;
                lead.changed_at = setting.header.position;
            }
        }
        self.erased.extend_from_slice(members);
        Ok(())
    }
}
