//! W3C Trace Context: which trace a piece of work belongs to, as headers say it. Knows no transport, and reports its spans
//! to nobody: they stand in the log lines.
//!
//! ```text
//! traceparent  00-<trace, 32 hex>-<span, 16 hex>-<flags, 2 hex>
//! tracestate   what other systems want to find again; goes on as it came
//! ```

#![forbid(unsafe_code)]

use uuid::Uuid;

/// The header that names trace and span.
pub const TRACEPARENT: &str = "traceparent";
/// The header that other systems fill.
pub const TRACESTATE: &str = "tracestate";

/// As much of a `tracestate` as the specification asks everybody to pass on; a longer one stays behind.
const STATE_BYTES_MAX: usize = 512;
/// The one flag that version 00 knows; the others must be zero.
const SAMPLED: u8 = 0b01;

/// One span of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// The first span of a new trace. It says that it is sampled: it stands in a log line, and whoever is behind it may
    /// want to find theirs.
    #[must_use]
    pub fn root() -> Self {
        Self { trace: Uuid::new_v4().as_u128(), span: new_span(), flags: SAMPLED, state: None }
    }

    /// Reads the headers (W3C Trace Context, sections 3.2 and 3.3); `None` when `traceparent` is not as it must be. What is
    /// wrong with `tracestate` costs only that.
    #[must_use]
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span, flags) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
        // A later version may say more behind this; the first one may not.
        let fits = version != 0xff && trace != 0 && span != 0 && (version != 0 || parts.next().is_none());
        let fits_state = |state: &&str| !state.is_empty() && state.len() <= STATE_BYTES_MAX && is_visible(state);
        let state = tracestate.map(str::trim).filter(fits_state).map(Box::from);
        let (span, flags) = (u64::try_from(span).ok()?, u8::try_from(flags).ok()? & SAMPLED);
        fits.then_some(Self { trace, span, flags, state })
    }

    /// Another span of the same trace, caused by this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: new_span(), ..self.clone() }
    }

    /// The trace, in hex.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span, in hex.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// What the header says to whoever is behind this span.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }

    /// What goes on beside it.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Names and values of the headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let state = self.tracestate().map(|state| (TRACESTATE, state.to_owned()));
        std::iter::once((TRACEPARENT, self.traceparent())).chain(state)
    }
}

/// The upper half of a random id, which holds its version and so is never zero.
fn new_span() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

/// Reads so many digits of hex, in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_goes_on_under_another_span() {
        let parent = TraceContext::read(PARENT, Some(" vendor=1,other=2 ")).unwrap();
        assert_eq!((parent.traceparent().as_str(), parent.tracestate()), (PARENT, Some("vendor=1,other=2")));
        let child = parent.child();
        assert_eq!((child.trace_id(), child.tracestate()), (parent.trace_id(), parent.tracestate()));
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(TraceContext::read(&child.traceparent(), child.tracestate()), Some(child));
        let root = TraceContext::root();
        assert_eq!(TraceContext::read(&root.traceparent(), None), Some(root.clone()));
        assert_ne!(root.trace_id(), TraceContext::root().trace_id());
    }

    #[test]
    fn only_a_well_formed_parent_is_followed() {
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more";
        let found = TraceContext::read(later, None).unwrap();
        assert_eq!(
            found.traceparent(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "flags that are known"
        );
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(TraceContext::read(wrong, None), None, "{wrong}");
        }
        for state in ["", "a=\u{7f}", "a=\nb", &"a".repeat(513)] {
            assert_eq!(TraceContext::read(PARENT, Some(state)).unwrap().tracestate(), None, "{state}");
        }
    }
}
