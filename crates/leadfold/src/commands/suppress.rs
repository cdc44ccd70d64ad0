//! `leadfold suppress` and `leadfold unsuppress`

use proto_events::command_document::{Ask, Whom};

use crate::cli::SuppressArgs;
use crate::commands::act;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn suppress(args: &SuppressArgs, settings: &Settings) -> anyhow::Result<()> {
    let ask = Ask::Suppress { whom: whom(args), reason: args.reason.clone() };
    act::execute(Source::open(settings)?, ask, &args.act, settings)
}

pub(crate) fn unsuppress(args: &SuppressArgs, settings: &Settings) -> anyhow::Result<()> {
    let ask = Ask::Unsuppress { whom: whom(args), reason: args.reason.clone() };
    act::execute(Source::open(settings)?, ask, &args.act, settings)
}

fn whom(args: &SuppressArgs) -> Whom {
    Whom {
        visitor_id: None,
        customer_id: args.customer_id.clone(),
        email: args.email.clone(),
        phone: args.phone.clone(),
        device_id: args.device_id.clone(),
    }
}
