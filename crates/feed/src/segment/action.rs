//! The names of Segment's events as actions.

/// Events whose action is another one than their words, by their words. The rest of Segment's e-commerce specification,
/// such as `Product Viewed`, `Cart Viewed` and `Checkout Started`, and of that for live chats needs no row.
const ACTIONS: &[(&str, &str)] = &[
    ("signed.up", "signup"),
    ("order.completed", "purchase"),
    ("completed.order", "purchase"),
    ("product.added", "cart.updated"),
    ("added.product", "cart.updated"),
    ("product.removed", "cart.updated"),
    ("removed.product", "cart.updated"),
    ("wishlist.product.added.to.cart", "cart.updated"),
    ("viewed.product", "product.viewed"),
    ("started.order", "checkout.started"),
    ("viewed.checkout.step", "checkout.step.viewed"),
    ("completed.checkout.step", "checkout.step.completed"),
    ("payment.info.entered", "checkout.payment"),
    ("updated.order", "order.updated"),
    ("products.searched", "search.submitted"),
    ("product.list.filtered", "search.filtered"),
    ("product.added.to.wishlist", "wishlist.added"),
    ("product.removed.from.wishlist", "wishlist.removed"),
    ("live.chat.conversation.started", "chat.started"),
    ("live.chat.conversation.ended", "chat.ended"),
    ("live.chat.message.sent", "chat.message.sent"),
    ("live.chat.message.received", "chat.message.received"),
];

/// The action of a `track` call: lower-case words with dots between them, so that `Order Completed`, `order_completed`
/// and `orderCompleted` are one event, and then the action that stands for them here, which is `purchase`.
#[must_use]
pub fn action(event: &str) -> String {
    let words = dotted(event);
    ACTIONS.iter().find(|(name, _)| *name == words).map_or(words, |(_, action)| (*action).to_owned())
}

/// Words end where something else than letters and digits stands, or in a name without that, before a capital letter.
fn dotted(event: &str) -> String {
    let event = event.trim();
    let is_one_word = event.chars().all(char::is_alphanumeric);
    let mut words = String::with_capacity(event.len() + 8);
    let mut before = None;
    for character in event.chars() {
        let begins = is_one_word && character.is_uppercase() && before.is_some_and(char::is_lowercase);
        if character.is_alphanumeric() {
            if begins || (before.is_some_and(|before: char| !before.is_alphanumeric()) && !words.is_empty()) {
                words.push('.');
            }
            words.extend(character.to_lowercase());
        }
        before = Some(character);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_actions() {
        let cases = [
            ("Products Searched", "search.submitted"),
            ("Product List Viewed", "product.list.viewed"),
            ("Product List Filtered", "search.filtered"),
            ("Promotion Viewed", "promotion.viewed"),
            ("Promotion Clicked", "promotion.clicked"),
            ("Product Clicked", "product.clicked"),
            ("Product Viewed", "product.viewed"),
            ("Product Added", "cart.updated"),
            ("Product Removed", "cart.updated"),
            ("Cart Viewed", "cart.viewed"),
            ("Checkout Started", "checkout.started"),
            ("Checkout Step Viewed", "checkout.step.viewed"),
            ("Checkout Step Completed", "checkout.step.completed"),
            ("Payment Info Entered", "checkout.payment"),
            ("Order Updated", "order.updated"),
            ("Order Completed", "purchase"),
            ("Order Refunded", "order.refunded"),
            ("Order Cancelled", "order.cancelled"),
            ("Coupon Entered", "coupon.entered"),
            ("Product Added to Wishlist", "wishlist.added"),
            ("Product Removed from Wishlist", "wishlist.removed"),
            ("Wishlist Product Added to Cart", "cart.updated"),
            ("Product Shared", "product.shared"),
            ("Product Reviewed", "product.reviewed"),
            ("Form Submitted", "form.submitted"),
            ("Signed Up", "signup"),
            ("Live Chat Conversation Started", "chat.started"),
            ("order_completed", "purchase"),
            ("orderCompleted", "purchase"),
            ("OrderCompleted", "purchase"),
            ("ORDER COMPLETED", "purchase"),
            ("chat.started", "chat.started"),
            ("  Newsletter --> Opened!  ", "newsletter.opened"),
            ("Größe gewählt", "größe.gewählt"),
            ("(Beta) iPhone 15 Viewed", "beta.iphone.15.viewed"),
            ("!!!", ""),
            ("", ""),
        ];
        for (event, expected) in cases {
            assert_eq!(action(event), expected, "{event}");
        }
    }

    #[test]
    fn the_table_is_of_words_as_they_are_made() {
        for (name, action) in ACTIONS {
            assert_eq!(dotted(name), *name);
            assert_eq!(dotted(action), *action);
        }
    }
}
