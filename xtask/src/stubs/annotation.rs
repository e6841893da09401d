//! Type annotations as people write them, `collections.abc.Callable[[Progress], object] | None`, read into the expressions
//! of the stub generator, so that it finds out what to import.

use pyo3_introspection::model::{Constant, Expr, Operator};

/// Reads an annotation. Names of `classes` are those of `module`; other names without a dot are Python's own.
pub fn read(text: &str, module: &str, classes: &[String]) -> Result<Expr, String> {
    let mut reader = Reader { rest: text, module, classes };
    match reader.union() {
        Some(expr) if reader.rest.trim().is_empty() => Ok(expr),
        _ => Err(format!("cannot read the type annotation \"{text}\" at \"{}\"", reader.rest)),
    }
}

struct Reader<'a> {
    rest: &'a str,
    module: &'a str,
    classes: &'a [String],
}

impl Reader<'_> {
    fn union(&mut self) -> Option<Expr> {
        let mut expr = self.subscript()?;
        while self.take("|") {
            let right = Box::new(self.subscript()?);
            expr = Expr::BinOp { left: Box::new(expr), op: Operator::BitOr, right };
        }
        Some(expr)
    }

    fn subscript(&mut self) -> Option<Expr> {
        let value = self.atom()?;
        if !self.take("[") {
            return Some(value);
        }
        let mut elts = self.list()?;
        let slice = if elts.len() == 1 { elts.remove(0) } else { Expr::Tuple { elts } };
        Some(Expr::Subscript { value: Box::new(value), slice: Box::new(slice) })
    }

    fn atom(&mut self) -> Option<Expr> {
        if self.take("...") {
            return Some(Expr::Constant { value: Constant::Ellipsis });
        }
        if self.take("[") {
            return Some(Expr::List { elts: self.list()? });
        }
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let attribute = |of: &str, attr: &str| Expr::Attribute {
            value: Box::new(Expr::Name { id: of.to_owned() }),
            attr: attr.to_owned(),
        };
        match name.rsplit_once('.') {
            _ if name.is_empty() => None,
            _ if name == "None" => Some(Expr::Constant { value: Constant::None }),
            Some((of, attr)) => Some(attribute(of, attr)),
            None if self.classes.iter().any(|c| c == name) => Some(attribute(self.module, name)),
            None => Some(Expr::Name { id: name.to_owned() }),
        }
    }

    /// What stands between brackets, the opening one taken.
    fn list(&mut self) -> Option<Vec<Expr>> {
        let mut elts = Vec::new();
        while !self.take("]") {
            elts.push(self.union()?);
            self.take(",");
        }
        Some(elts)
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.strip_prefix(token).map(|rest| self.rest = rest).is_some()
    }
}

#[cfg(test)]
mod tests {
    use pyo3_introspection::model::{Argument, Arguments, Class, Function, Module};
    use pyo3_introspection::module_stub_files;

    use super::*;

    /// The annotation as the generator writes it.
    fn written(text: &str) -> String {
        let annotation = Some(read(text, "m", &["Packet".to_owned()]).unwrap());
        let argument = Argument { name: "x".to_owned(), default_value: None, annotation };
        let arguments = Arguments {
            positional_only_arguments: vec![],
            arguments: vec![argument],
            vararg: None,
            keyword_only_arguments: vec![],
            kwarg: None,
        };
        let name = "f".to_owned();
        let function =
            Function { name, decorators: vec![], arguments, returns: None, is_async: false, docstring: None };
        let packet = Class {
            name: "Packet".to_owned(),
            bases: vec![],
            methods: vec![],
            attributes: vec![],
            decorators: vec![],
            inner_classes: vec![],
            docstring: None,
        };
        let module = Module {
            name: "m".to_owned(),
            modules: vec![],
            classes: vec![packet],
            functions: vec![function],
            attributes: vec![],
            incomplete: false,
            docstring: None,
        };
        module_stub_files(&module).into_values().collect()
    }

    #[test]
    fn what_is_read_is_written_with_its_imports() {
        let stub = written("collections.abc.Callable[[Packet, bool], dict[str, list[int]]] | typing.Any | None");
        assert!(stub.contains("f(x: Callable[[Packet, bool], dict[str, list[int]]] | Any | None)"), "{stub}");
        assert!(stub.contains("from collections.abc import Callable\n"), "{stub}");
        assert!(stub.contains("from typing import Any\n"), "{stub}");
        assert!(written("tuple[int, ...]").contains("f(x: tuple[int, ...])"));
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        for text in ["", "list[", "int |", "int int", "dict[str, int]]", "Literal['a']"] {
            let error = read(text, "m", &[]).unwrap_err();
            assert!(error.contains(&format!("\"{text}\"")), "{error}");
        }
    }
}
