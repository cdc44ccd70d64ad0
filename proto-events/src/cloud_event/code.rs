//! Why an input was not taken: stable words for programs, the same in every channel.

/// The bytes are not UTF-8.
pub const INVALID_UTF8: &str = "invalid_utf8";
/// The text is not JSON.
pub const INVALID_JSON: &str = "invalid_json";
/// A line of a CSV file is not a row of its table.
pub const INVALID_ROW: &str = "invalid_row";
/// A field that must be there is not, or is empty.
pub const MISSING_FIELD: &str = "missing_field";
/// The contract has no such field.
pub const UNKNOWN_FIELD: &str = "unknown_field";
/// A field is there twice.
pub const REPEATED_FIELD: &str = "repeated_field";
/// A field holds something else than it should.
pub const WRONG_TYPE: &str = "wrong_type";
/// `specversion` is not `1.0`.
pub const WRONG_SPECVERSION: &str = "wrong_specversion";
/// `type` is not that of the contract.
pub const WRONG_EVENT_TYPE: &str = "wrong_event_type";
/// `datacontenttype` is not JSON.
pub const WRONG_CONTENT_TYPE: &str = "wrong_content_type";
/// `data_base64` is not base64, or stands beside `data`.
pub const BAD_DATA_BASE64: &str = "bad_data_base64";
/// A time that can't be read.
pub const BAD_TIME: &str = "bad_time";
/// A currency that ISO 4217 does not have.
pub const BAD_CURRENCY: &str = "bad_currency";
/// An amount that can't be read.
pub const BAD_AMOUNT: &str = "bad_amount";
/// An e-mail address that is none.
pub const BAD_EMAIL: &str = "bad_email";
/// A phone number that is none.
pub const BAD_PHONE: &str = "bad_phone";
/// None of the four identifiers is there.
pub const MISSING_IDENTIFIER: &str = "missing_identifier";
/// A text holds a control character.
pub const CONTROL_CHARACTER: &str = "control_character";
/// The event has too many bytes.
pub const EVENT_TOO_LARGE: &str = "event_too_large";
/// The event has too many attributes.
pub const TOO_MANY_ATTRIBUTES: &str = "too_many_attributes";
/// A text has too many characters.
pub const STRING_TOO_LONG: &str = "string_too_long";
/// The time lies too far ahead.
pub const TIME_AHEAD: &str = "time_ahead";
/// The event names a tenant that does not exist.
pub const UNKNOWN_TENANT: &str = "unknown_tenant";
/// The event names another tenant than the one its channel belongs to.
pub const TENANT_MISMATCH: &str = "tenant_mismatch";
/// A batch has too many events.
pub const TOO_MANY_EVENTS: &str = "too_many_events";
/// A header's value is not encoded as the protocol demands.
pub const BAD_HEADER: &str = "bad_header";
/// A command has too many bytes.
pub const COMMAND_TOO_LARGE: &str = "command_too_large";
/// There is no command of that name.
pub const UNKNOWN_COMMAND: &str = "unknown_command";
/// A text that is no id of the expected kind.
pub const BAD_ID: &str = "bad_id";
/// Two fields of which a document may have only one.
pub const CONTRADICTION: &str = "contradiction";
