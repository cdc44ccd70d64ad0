//! Products, prices and orders, by the names of Segment's e-commerce specification.

use std::borrow::Cow;

use lead_domain::Currency;
use proto_events::cloud_event::{Amount, Conversion, Fault, Product, Scalar, Str, code, currency, minor_digits};
use proto_events::raw_object::{RawObject, raw_elements};

use super::draft::{Draft, Place, scalar};
use super::money::minor_units;
use super::section::{Field, Section};

/// What the amounts of a message are in.
struct Unit<'a> {
    /// The field that says it; where there is none, it is the tenant's currency.
    field: Option<Field<'a>>,
    code: Option<Str<'a>>,
    /// Digits of the minor unit; `None` for a currency that has none or does not exist.
    digits: Option<u32>,
}

/// The places of an amount and of its currency.
#[derive(Clone, Copy)]
struct AmountPlace {
    amount: Place,
    currency: Place,
}

const PRICE: AmountPlace = AmountPlace {
    amount: &["data", "product", "price", "amount"],
    currency: &["data", "product", "price", "currency"],
};

const VALUE: AmountPlace = AmountPlace {
    amount: &["data", "conversion", "value", "amount"],
    currency: &["data", "conversion", "value", "currency"],
};

const RGUS: Place = &["data", "conversion", "rgus"];

impl<'a> Draft<'a> {
    /// Sets product and conversion; returns the properties that they took.
    pub(super) fn order(&mut self, properties: &Section<'a>) -> Result<Vec<&'static str>, Fault> {
        let products = self.products(properties)?;
        let unit = self.unit(properties)?;
        let mut taken = vec!["products"];
        let own = properties.get(&["product_id", "productId", "sku"]).is_some();
        match (own, products.as_slice()) {
            (true, _) => {
                self.product(properties, &unit)?;
                taken.extend(["product_id", "productId", "name", "category", "price"]);
                if properties.get(&["product_id", "productId"]).is_none() {
                    taken.push("sku");
                }
            }
            (false, [only]) => self.product(only, &unit)?,
            (false, _) => {}
        }
        if self.event.data.action.as_str() == "purchase" {
            taken.extend(self.conversion(properties, &products, &unit)?);
        }
        let data = &self.event.data;
        let price = data.product.as_ref().and_then(|product| product.price.as_ref());
        let value = data.conversion.as_ref().and_then(|conversion| conversion.value.as_ref());
        if price.is_some() || value.is_some() {
            taken.push("currency");
        }
        Ok(taken)
    }

    fn products(&mut self, properties: &Section<'a>) -> Result<Vec<Section<'a>>, Fault> {
        let Some(field) = properties.get(&["products"]) else { return Ok(Vec::new()) };
        let objects = raw_elements(field.json)
            .and_then(|elements| elements.into_iter().map(RawObject::from_json).collect::<Option<Vec<_>>>());
        let Some(objects) = objects else {
            self.misplace(field, &["data", "product"], code::WRONG_TYPE, "The field must be an array of objects.");
            return Ok(Vec::new());
        };
        objects.into_iter().map(|object| Section::new(object, "properties.products[].")).collect()
    }

    fn unit(&mut self, properties: &Section<'a>) -> Result<Unit<'a>, Fault> {
        let text = self.text(properties, &["currency"], VALUE.currency)?;
        let field = properties.get(&["currency"]).filter(|_| text.is_some()).cloned();
        let code = text.map(|code| Str(Cow::Owned(code.as_str().trim().to_ascii_uppercase())));
        let digits = match &code {
            Some(code) => currency(code.as_str()).and_then(|currency| minor_digits(currency.code())),
            None => self.currency.as_ref().map(Currency::code).and_then(minor_digits),
        };
        Ok(Unit { field, code, digits })
    }

    fn product(&mut self, section: &Section<'a>, unit: &Unit<'a>) -> Result<(), Fault> {
        let product = Product {
            id: self.text(section, &["product_id", "productId", "sku"], &["data", "product", "id"])?,
            name: self.text(section, &["name"], &["data", "product", "name"])?,
            category: self.text(section, &["category"], &["data", "product", "category"])?,
            price: self.amount(section, &["price"], unit, PRICE)?,
        };
        self.event.data.product = Some(product);
        Ok(())
    }

    fn conversion(
        &mut self,
        properties: &Section<'a>,
        products: &[Section<'a>],
        unit: &Unit<'a>,
    ) -> Result<Vec<&'static str>, Fault> {
        let value = ["total", "revenue", "value"].into_iter().find(|name| properties.get(&[name]).is_some());
        let mut taken = vec!["order_id", "orderId"];
        taken.extend(value);
        let value = match value {
            Some(name) => self.amount(properties, &[name], unit, VALUE)?,
            None => None,
        };
        let order_id = self.text(properties, &["order_id", "orderId"], &["data", "conversion", "order_id"])?;
        let rgus = match products {
            [] => {
                taken.push("quantity");
                self.quantity(properties, None)?
            }
            products => self.quantities(properties, products)?,
        };
        self.event.data.conversion = Some(Conversion { value, rgus, order_id });
        Ok(taken)
    }

    /// The units of all products; one that doesn't say counts once.
    fn quantities(&mut self, properties: &Section<'a>, products: &[Section<'a>]) -> Result<Option<u32>, Fault> {
        let mut sum = 0_u32;
        for product in products {
            let Some(units) = self.quantity(product, Some(1))? else { return Ok(None) };
            let Some(more) = sum.checked_add(units) else {
                if let Some(field) = properties.get(&["products"]) {
                    let message = "The quantities must not sum up to more than 4294967295.";
                    self.misplace_as_text(field, RGUS, code::WRONG_TYPE, message);
                }
                return Ok(None);
            };
            sum = more;
        }
        Ok(Some(sum))
    }

    /// The units of a product, `otherwise` where it doesn't say; `None` where that is no whole number, which is a fault.
    fn quantity(&mut self, section: &Section<'a>, otherwise: Option<u32>) -> Result<Option<u32>, Fault> {
        let Some(field) = section.get(&["quantity"]) else { return Ok(otherwise) };
        let Some(text) = number(field)? else { return Ok(otherwise) };
        let units = minor_units(text.as_str(), 0).and_then(|units| u32::try_from(units).ok());
        if units.is_none() {
            let message = "The quantity must be a whole number from 0 to 4294967295.";
            self.misplace_as_text(field, RGUS, code::WRONG_TYPE, message);
        }
        Ok(units)
    }

    /// The amount in the first of these fields that is there; `None` where it is absent, empty or faulty.
    fn amount(
        &mut self,
        section: &Section<'a>,
        names: &[&str],
        unit: &Unit<'a>,
        place: AmountPlace,
    ) -> Result<Option<Amount<'a>>, Fault> {
        let Some(field) = section.get(names) else { return Ok(None) };
        let Some(text) = number(field)? else { return Ok(None) };
        let Some(digits) = unit.digits else {
            let message = "The currency must be an ISO 4217 code with a minor unit, such as EUR.";
            self.misplace_as_text(unit.field.as_ref().unwrap_or(field), place.currency, code::BAD_CURRENCY, message);
            self.keep_text(field, place.amount);
            return Ok(None);
        };
        let Some(amount) = minor_units(text.as_str(), digits) else {
            let message = format!("The amount must be a number with at most {digits} digits behind the point.");
            self.misplace_as_text(field, place.amount, code::BAD_AMOUNT, &message);
            if let Some(field) = &unit.field {
                self.keep_text(field, place.currency);
            }
            return Ok(None);
        };
        Ok(Some(Amount { amount, currency: unit.code.clone() }))
    }
}

/// The text of a number, which may stand in a string; `None` where it is empty. What is no number is not one later either.
fn number<'a>(field: &Field<'a>) -> Result<Option<Str<'a>>, Fault> {
    Ok(match scalar(field)? {
        Some(Scalar::Text(text)) => text.trimmed().is_some().then_some(text),
        Some(Scalar::Null) => None,
        Some(Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Decimal(_)) | None => Some(Str::from(field.json)),
    })
}
