//! TOML documents laid over each other, where every value remembers where it was written.
//!
//! Invariant: an error names the file and line of the value that is wrong, what was expected there, and for a misspelt key the
//! nearest that exists.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::data::nearest;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, or the flag of the command line.
    pub file: String,
    /// Counted from 1; 0 for a flag, which has no lines.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{problem}", location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default(), at(path))]
pub struct Fault {
    /// Where; absent until the value is known.
    pub location: Option<Location>,
    /// Dotted path of the value; empty for the whole document.
    pub path: String,
    /// What is wrong, what was expected.
    pub problem: String,
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

impl Fault {
    /// A fault of a value.
    pub fn new(node: &Node, path: &str, problem: impl Into<String>) -> Self {
        Fault { location: Some(node.location.clone()), path: path.to_owned(), problem: problem.into() }
    }

    fn bare(problem: String) -> Self {
        Fault { location: None, path: String::new(), problem }
    }

    /// The fault with a location, unless a location further inside is known already.
    fn within(mut self, location: &Location, path: &str) -> Self {
        if self.location.is_none() {
            self.location = Some(location.clone());
            self.path = path.to_owned();
        }
        self
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::bare(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Fault::bare(unknown("key", field, expected.iter().copied()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Fault::bare(unknown("value", variant, expected.iter().copied()))
    }
}

/// `there is no key `epoch`; did you mean `epochs`?`, or which there are.
pub(super) fn unknown<'a>(what: &str, found: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(found, known.clone()) {
        Some(near) => format!("there is no {what} `{found}`; did you mean `{near}`?"),
        None => {
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            match &known[..] {
                [] => format!("there is no {what} `{found}`; there is none at all"),
                _ => format!("there is no {what} `{found}`, expected {}", known.join(", ")),
            }
        }
    }
}

/// A value of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written; a table that several documents wrote: where it was written last.
    pub location: Location,
    /// The value.
    pub value: Value,
}

/// What a value can be.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Several values in order.
    Array(Vec<Node>),
    /// Values by name.
    Table(Table),
}

/// Values by name.
pub(super) type Table = BTreeMap<String, Node>;

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

impl Node {
    /// Reads a document. `numbered` tells whether its lines mean something to the reader.
    ///
    /// # Errors
    /// What is no TOML; a key that is defined twice.
    pub fn parse(file: &str, text: &str, numbered: bool) -> Result<Node, Fault> {
        let line =
            |at: usize| if numbered { 1 + text[..at.min(text.len())].matches('\n').count() } else { 0 };
        let document = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let location = Location { file: file.to_owned(), line: line(at) };
            let what = error.message();
            let problem = match what.contains("duplicate") {
                true => format!("{what}: a second definition of the same key; leave one of them out"),
                false => format!("no valid TOML: {what}"),
            };
            Fault { location: Some(location), path: String::new(), problem }
        })?;
        let location = |at: usize| Location { file: file.to_owned(), line: line(at) };
        let start = document.span().start;
        Ok(Node { location: location(start), value: Value::Table(table(document.into_inner(), &location)?) })
    }

    /// The table that this is.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table(&self, path: &str) -> Result<&Table, Fault> {
        match &self.value {
            Value::Table(table) => Ok(table),
            other => Err(Fault::new(self, path, format!("expected a table, found {}", other.kind()))),
        }
    }

    /// Removes a table's value by name; `None` where there is none, or this is no table.
    pub fn take(&mut self, name: &str) -> Option<Node> {
        match &mut self.value {
            Value::Table(table) => table.remove(name),
            _ => None,
        }
    }

    /// A table's value by name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.table("").ok()?.get(name)
    }

    /// Lays `over` on this, table by table; anything but a table is replaced.
    pub fn lay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (name, node) in above {
                    match below.get_mut(&name) {
                        Some(below) => below.lay(node),
                        None => drop(below.insert(name, node)),
                    }
                }
            }
            (value, above) => *value = above,
        }
        self.location = over.location;
    }

    /// Reads the value as a type.
    ///
    /// # Errors
    /// The first value that does not fit, with its location.
    pub fn read<'de, T: serde::Deserialize<'de>>(&self, path: &str) -> Result<T, Fault> {
        T::deserialize(Reader { node: self.clone(), path: path.to_owned() })
    }
}

fn table(table: DeTable<'_>, location: &impl Fn(usize) -> Location) -> Result<Table, Fault> {
    let read = |(name, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        // A table written as a header starts where its name does.
        let at = location(name.span().start);
        Ok((name.into_inner().into_owned(), node(value, at, location)?))
    };
    table.into_iter().map(read).collect()
}

fn node(
    value: Spanned<DeValue<'_>>,
    at: Location,
    location: &impl Fn(usize) -> Location,
) -> Result<Node, Fault> {
    let wrong = |problem: String| Fault { location: Some(at.clone()), path: String::new(), problem };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let read = i64::from_str_radix(&digits, number.radix());
            Value::Integer(read.map_err(|error| wrong(format!("{digits}: {error}")))?)
        }
        DeValue::Float(number) => {
            let digits = number.as_str().replace('_', "");
            Value::Float(digits.parse().map_err(|error| wrong(format!("{digits}: {error}")))?)
        }
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(value) => return Err(wrong(format!("expected no date, found {value}"))),
        DeValue::Array(values) => {
            let read = values.into_iter().map(|value| {
                let at = location(value.span().start);
                node(value, at, location)
            });
            Value::Array(read.collect::<Result<_, _>>()?)
        }
        DeValue::Table(inner) => Value::Table(table(inner, location)?),
    };
    Ok(Node { location: at, value })
}

/// Gives a value to serde.
struct Reader {
    node: Node,
    path: String,
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let (location, path) = (self.node.location.clone(), self.path.clone());
        let read = match self.node.value {
            Value::Text(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(value) => visitor.visit_bool(value),
            Value::Array(values) => {
                visitor.visit_seq(Items { values: values.into_iter(), path: self.path, index: 0 })
            }
            Value::Table(table) => {
                visitor.visit_map(Entries { entries: table.into_iter(), path: self.path, value: None })
            }
        };
        read.map_err(|fault| fault.within(&location, &path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (location, path) = (self.node.location.clone(), self.path.clone());
        let read = match self.node.value {
            Value::Text(word) => visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(word)),
            Value::Table(table) if table.len() == 1 => {
                let entries = Entries { entries: table.into_iter(), path: self.path, value: None };
                visitor.visit_enum(serde::de::value::MapAccessDeserializer::new(entries))
            }
            other => {
                Err(Fault::bare(format!("expected one of {}, found {}", variants.join(", "), other.kind())))
            }
        };
        read.map_err(|fault| fault.within(&location, &path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items {
    values: std::vec::IntoIter<Node>,
    path: String,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.values.next() else { return Ok(None) };
        let path = format!("{}[{}]", self.path, self.index);
        self.index += 1;
        let location = node.location.clone();
        let read = seed.deserialize(Reader { node, path: path.clone() });
        read.map(Some).map_err(|fault| fault.within(&location, &path))
    }
}

struct Entries {
    entries: std::collections::btree_map::IntoIter<String, Node>,
    path: String,
    value: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, node)) = self.entries.next() else { return Ok(None) };
        let key: StringDeserializer<Fault> = name.clone().into_deserializer();
        let (location, path) = (node.location.clone(), self.path.clone());
        let key = seed.deserialize(key).map_err(|fault| fault.within(&location, &path))?;
        self.value = Some((name, node));
        Ok(Some(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((name, node)) = self.value.take() else {
            return Err(Fault::bare("a value was asked for before its name".to_owned()));
        };
        let path = if self.path.is_empty() { name } else { format!("{}.{name}", self.path) };
        let location = node.location.clone();
        seed.deserialize(Reader { node, path: path.clone() }).map_err(|fault| fault.within(&location, &path))
    }
}
