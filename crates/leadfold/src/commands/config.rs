//! `leadfold config show`

use crate::config::{Configuration, Origin, Setting};
use crate::output::{json_line, table};
use crate::settings::Settings;

pub(crate) fn show(configuration: &Configuration, settings: &Settings) -> anyhow::Result<()> {
    let shown = configuration.settings();
    if settings.json {
        return shown.iter().try_for_each(json_line);
    }
    let row = |setting: Setting| {
        let origin = match setting.origin {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Default => "default",
        };
        let origin = setting.from.map_or_else(|| origin.to_owned(), |from| format!("{origin} {from}"));
        vec![setting.name, setting.value.unwrap_or_default(), origin]
    };
    table(&["SETTING", "VALUE", "ORIGIN"], shown.into_iter().map(row).collect())
}
