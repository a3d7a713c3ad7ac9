//! Reads `src/` as the compiler does: module by module from its root, each file whole, and without what is compiled for
//! tests alone.
//!
//! Invariant: an import is known by its path from the crate's root, however it is written: in a group, through `super`,
//! in the middle of an expression, or among the tokens of a macro.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Meta, Token, UseTree};

/// A path from the crate's root: `["device", "cuda", "Buffer"]` for `crate::device::cuda::Buffer`.
pub(crate) type ModulePath = Vec<String>;

/// A file, and what stands in it.
pub(crate) struct Source {
    /// Its place below `src/`.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What it names; nothing where only tests are compiled from it.
    pub found: Found,
}

/// What a file names outside of its tests.
#[derive(Default)]
pub(crate) struct Found {
    /// All that it takes from this crate.
    pub imports: BTreeSet<ModulePath>,
    /// What `use` binds in the file's own module, by name: others reach it through this file.
    pub bound: BTreeMap<String, ModulePath>,
    /// The macros that it calls.
    pub macros: BTreeSet<String>,
    /// The modules that stand in files of their own, and whether they are compiled for tests alone.
    pub children: BTreeMap<ModulePath, bool>,
}

/// All files below `src/`, by module; `main.rs` is the module `main`.
pub(crate) struct Sources(pub BTreeMap<ModulePath, Source>);

impl Sources {
    /// Reads them all, from `lib.rs` and `main.rs` down.
    pub(crate) fn read() -> Self {
        let mut all = Sources(BTreeMap::new());
        all.add(Vec::new(), "lib.rs", false);
        all.add(vec!["main".to_owned()], "main.rs", false);
        all
    }

    fn add(&mut self, module: ModulePath, file: &str, for_tests: bool) {
        let text = std::fs::read_to_string(root().join(file)).expect(file);
        let found = find(&text, &module);
        for (child, tests) in &found.children {
            let place = child.join("/");
            let file = [format!("{place}.rs"), format!("{place}/mod.rs")]
                .into_iter()
                .find(|file| root().join(file).exists())
                .unwrap_or_else(|| panic!("src/{file} declares the module {place}, which has no file"));
            self.add(child.clone(), &file, for_tests || *tests);
        }
        let found = if for_tests { Found::default() } else { found };
        self.0.insert(module, Source { file: file.to_owned(), text, found });
    }

    /// The module whose file defines what a path names: re-exports are followed to where they come from.
    pub(crate) fn defining(&self, path: &[String]) -> ModulePath {
        let mut path = path.to_vec();
        // A re-export of a re-export ends; one of itself does not compile.
        for _ in 0..16 {
            let known = (0..=path.len()).rev().find(|&len| self.0.contains_key(&path[..len])).unwrap_or(0);
            let (module, rest) = path.split_at(known);
            let Some(bound) = rest.first().and_then(|name| self.0[module].found.bound.get(name)) else {
                return module.to_vec();
            };
            path = bound.iter().chain(&rest[1..]).cloned().collect();
        }
        panic!("the re-exports of {} do not end", path.join("::"))
    }
}

/// The folder of the sources.
pub(crate) fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// What a file names, given its module.
///
/// # Panics
/// If it is no Rust.
pub(crate) fn find(text: &str, module: &[String]) -> Found {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
    let mut reader = Reader { module: module.to_vec(), file: module.to_vec(), found: Found::default() };
    reader.visit_file(&file);
    reader.found
}

/// Every word of a text that stands for itself: not in a string, not in a comment.
pub(crate) fn words(text: &str) -> BTreeSet<String> {
    fn add(tokens: TokenStream, words: &mut BTreeSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => words.extend([word.to_string()]),
                TokenTree::Group(group) => add(group.stream(), words),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut words = BTreeSet::new();
    add(text.parse().expect("Rust"), &mut words);
    words
}

/// Walks through a file.
struct Reader {
    /// The module that it is in: the file's, or one declared within.
    module: ModulePath,
    /// The file's module.
    file: ModulePath,
    found: Found,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let for_tests = attributes(item).iter().any(is_for_tests);
        match item {
            Item::Mod(declared) => {
                self.module.push(declared.ident.to_string());
                if declared.content.is_none() {
                    self.found.children.insert(self.module.clone(), for_tests);
                } else if !for_tests {
                    visit::visit_item(self, item);
                }
                self.module.pop();
            }
            _ if for_tests => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let (ImplItem::Const(syn::ImplItemConst { attrs, .. })
        | ImplItem::Fn(syn::ImplItemFn { attrs, .. })
        | ImplItem::Type(syn::ImplItemType { attrs, .. })
        | ImplItem::Macro(syn::ImplItemMacro { attrs, .. })) = item
        else {
            return visit::visit_impl_item(self, item);
        };
        if !attrs.iter().any(is_for_tests) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for (path, name) in leaves(&item.tree) {
            let Some(path) = self.absolute(&path) else { continue };
            if self.module == self.file && name != "*" {
                self.found.bound.insert(name, path.clone());
            }
            self.found.imports.insert(path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.first().is_some_and(|first| is_anchor(first)) {
            self.found.imports.extend(self.absolute(&names));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.found.macros.extend(called.path.segments.last().map(|segment| segment.ident.to_string()));
        self.read_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }
}

impl Reader {
    /// A path as it is written, from the crate's root; `None` for one into another crate.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let mut at = self.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => at.clear(),
            "self" | "super" => {}
            child => {
                at.push(child.to_owned());
                return self.found.children.contains_key(&at).then(|| [&self.module[..], path].concat());
            }
        }
        while let Some((first, behind)) = rest.split_first()
            && is_anchor(first)
        {
            if first == "super" {
                at.pop();
            }
            rest = behind;
        }
        at.extend_from_slice(rest);
        Some(at)
    }

    /// What the tokens of a macro call and name.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.read_tokens(group.stream()),
                TokenTree::Ident(word) if is(tokens.get(at + 1), '!') => {
                    self.found.macros.insert(word.to_string());
                }
                TokenTree::Ident(word) if is_anchor(&word.to_string()) && is(tokens.get(at + 1), ':') => {
                    let path: TokenStream =
                        tokens[at..].iter().take(path_length(&tokens[at..])).cloned().collect();
                    for (path, _) in syn::parse2(path).iter().flat_map(leaves) {
                        self.found.imports.extend(self.absolute(&path));
                    }
                }
                _ => {}
            }
        }
    }
}

/// How many tokens make the path at the beginning, its group included.
fn path_length(tokens: &[TokenTree]) -> usize {
    let mut length = 1;
    while is(tokens.get(length), ':') && is(tokens.get(length + 1), ':') {
        match tokens.get(length + 2) {
            Some(TokenTree::Ident(_)) => length += 3,
            Some(TokenTree::Group(_)) => return length + 3,
            _ => break,
        }
    }
    length
}

fn is(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == sign)
}

/// Whether a path that begins with this word stays in the crate.
fn is_anchor(word: &str) -> bool {
    ["crate", "self", "super"].contains(&word)
}

/// The paths of an import, group by group, each with the name that it gets.
fn leaves(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let prefix = path.ident.to_string();
            let mut found = leaves(&path.tree);
            for (path, name) in &mut found {
                // `{self}` is called as what it stands in.
                if path.last().is_some_and(|last| last == "self") {
                    path.pop();
                    if name == "self" {
                        name.clone_from(&prefix);
                    }
                }
                path.insert(0, prefix.clone());
            }
            found
        }
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(rename) => vec![(vec![rename.ident.to_string()], rename.rename.to_string())],
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
    }
}

/// Whether an attribute is `#[cfg(test)]`, or asks for more besides.
fn is_for_tests(attribute: &Attribute) -> bool {
    fn asks(condition: &Meta) -> bool {
        match condition {
            Meta::List(list) if list.path.is_ident("all") => {
                let all = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone());
                all.is_ok_and(|all| all.iter().any(asks))
            }
            condition => condition.path().is_ident("test"),
        }
    }
    attribute.path().is_ident("cfg") && attribute.parse_args().is_ok_and(|condition: Meta| asks(&condition))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(syn::ItemConst { attrs, .. })
        | Item::Enum(syn::ItemEnum { attrs, .. })
        | Item::Fn(syn::ItemFn { attrs, .. })
        | Item::ForeignMod(syn::ItemForeignMod { attrs, .. })
        | Item::Impl(syn::ItemImpl { attrs, .. })
        | Item::Macro(syn::ItemMacro { attrs, .. })
        | Item::Mod(syn::ItemMod { attrs, .. })
        | Item::Static(syn::ItemStatic { attrs, .. })
        | Item::Struct(syn::ItemStruct { attrs, .. })
        | Item::Trait(syn::ItemTrait { attrs, .. })
        | Item::Type(syn::ItemType { attrs, .. })
        | Item::Use(syn::ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}

mod tests {
    use super::*;

    /// The imports of a text in `crate::a::b`.
    fn imports(text: &str) -> Vec<String> {
        let found = find(text, &["a", "b"].map(str::to_owned));
        found.imports.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn every_item_of_a_group_is_an_import() {
        assert_eq!(imports("use crate::{x, y::{self, Z}, w::*, last};"), ["last", "w", "x", "y", "y::Z"]);
        assert_eq!(imports("use super::{c, super::d}; use self::e as f;"), ["a::b::e", "a::c", "d"]);
        assert_eq!(imports("mod child; use child::Thing; use serde::Serialize;"), ["a::b::child::Thing"]);
    }

    #[test]
    fn paths_in_code_types_and_macros_are_imports() {
        assert_eq!(
            imports("fn f(x: crate::t::T) -> u8 { super::c::g::<crate::u::U>(x) }"),
            ["a::c::g", "t::T", "u::U"]
        );
        assert_eq!(imports("fn f() { println!(\"{}\", [crate::x::y(1), super::z]); }"), ["a::z", "x::y"]);
        assert_eq!(imports("macro_rules! m { () => { use $crate::{x, y::z}; } }"), ["x", "y::z"]);
        assert_eq!(imports("fn f() { // crate::no\n let _ = \"crate::no\"; }"), [] as [&str; 0]);
    }

    #[test]
    fn tests_are_left_out_wherever_they_stand() {
        let text = "use crate::x;\n#[cfg(test)]\nmod tests { use crate::no; }\n#[cfg(all(test, unix))] use crate::no;\n\
                    impl T { #[cfg(test)] fn f() { crate::no() } }\n#[cfg(not(test))] use crate::z;\nuse crate::y;";
        assert_eq!(imports(text), ["x", "y", "z"]);
    }

    #[test]
    fn an_inner_module_counts_from_itself() {
        let text = "mod inner { use super::super::c; mod more; } #[cfg(test)] mod tests;";
        assert_eq!(imports(text), ["a::c"]);
        let found = find(text, &["a", "b"].map(str::to_owned));
        let children: Vec<_> = found.children.iter().map(|(path, tests)| (path.join("::"), *tests)).collect();
        assert_eq!(children, [("a::b::inner::more".to_owned(), false), ("a::b::tests".to_owned(), true)]);
    }

    #[test]
    fn words_are_neither_comments_nor_strings() {
        let text = "//! unsafe\nfn f() { g!(\"unsafe\", { safe }) }";
        assert!(words(text).contains("safe") && !words(text).contains("unsafe"));
        assert!(find("fn f() { vec![dbg!(1)] }", &[]).macros.contains("dbg"));
    }
}
