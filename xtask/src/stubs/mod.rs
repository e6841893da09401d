//! The type stubs of the native module: made from what PyO3 writes into the library about itself (`experimental-inspect`),
//! so that names, defaults, types and docs are those of the code. `mypy.stubtest` holds them to the installed module.

mod annotation;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pyo3_introspection::model::{Class, Constant, Expr, Function, Module};
use pyo3_introspection::{introspect_cdylib, module_stub_files};
use serde_json::Value;

/// Where the stubs lie.
pub const PATH: &str = "python/joyfuljay/_native.pyi";

const MODULE: &str = "_native";
const MADE: &str = "# made by `cargo xtask generate`; edit crates/python, not this file\n";

/// What PyO3 lets nobody annotate: properties and methods of Python's protocols. Class, method, what it returns.
const RETURNS: &[(&str, &str, &str)] = &[
    ("Buffer", "__array_interface__", "dict[str, typing.Any]"),
    ("RowIterator", "__next__", "dict[str, typing.Any]"),
    ("Summary", "end_reasons", "dict[str, int]"),
    ("Summary", "skipped", "dict[str, int]"),
];

/// Items of a sequence: class, index, what it returns.
const ITEMS: &[(&str, &str, &str)] =
    &[("PacketSequence", "typing.SupportsIndex", "Packet"), ("PacketSequence", "slice", "list[Packet]")];

/// The abstract classes that a class is registered with.
const BASES: &[(&str, &str)] = &[("PacketSequence", "collections.abc.Sequence[Packet]")];

/// The stubs, from the library as cargo builds it.
pub fn native(root: &Path) -> Result<String, Box<dyn Error>> {
    let mut module = introspect_cdylib(build(root)?, MODULE)?;
    if module.incomplete {
        return Err("the native module has members that PyO3 cannot describe: #[pymodule_export] them".into());
    }
    complete(&mut module)?;
    let text = module_stub_files(&module).remove(Path::new("__init__.pyi"));
    Ok(format!("{MADE}{}", text.ok_or("no stubs were made")?))
}

/// Builds the library (the very artifact of a wheel in the dev profile) and says where it is.
fn build(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    // What cargo says of xtask itself; a build script that looks at it (ring's does) would run again, here and outside.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let output = command
        .args([
            "build",
            "--quiet",
            "--package",
            "joyfuljay-python",
            "--lib",
            // As in scripts/test: crates are there already.
            "--features",
            "joyfuljay-core/testing",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the native module does not build, so its stubs cannot be made".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut files = messages
        .filter(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == MODULE)
        .flat_map(|m| m["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from));
    let library = |file: &PathBuf| file.extension().is_some_and(|e| e == "so" || e == "dylib" || e == "dll");
    files.find(library).ok_or_else(|| "cargo does not say where the native module is".into())
}

/// Reads the annotations, which PyO3 hands on as text, and adds what it does not know.
fn complete(module: &mut Module) -> Result<(), Box<dyn Error>> {
    let classes: Vec<String> = module.classes.iter().map(|c| c.name.clone()).collect();
    let read = |text: &str| annotation::read(text, MODULE, &classes);
    for attribute in &mut module.attributes {
        // Types, not values: a new version number is no change of an interface.
        attribute.annotation = Some(read("str")?);
        attribute.value = None;
    }
    let methods = module.classes.iter_mut().flat_map(|c| &mut c.methods);
    for function in module.functions.iter_mut().chain(methods) {
        let arguments = &mut function.arguments;
        let lists = [&mut arguments.positional_only_arguments, &mut arguments.arguments];
        let hints = lists.into_iter().flatten().map(|a| &mut a.annotation).chain([&mut function.returns]);
        for hint in hints {
            if let Some(Expr::Constant { value: Constant::Str(text) }) = hint {
                *hint = Some(read(text)?);
            }
        }
    }
    for (class, method, returns) in RETURNS {
        find_method(module, class, method)?.returns = Some(read(returns)?);
    }
    for (class, base) in BASES {
        find_class(module, class)?.bases.push(read(base)?);
    }
    for (class, index, returns) in ITEMS {
        let mut item = find_method(module, class, "__getitem__")?.clone();
        item.decorators = vec![read("typing.overload")?];
        item.returns = Some(read(returns)?);
        let argument = item.arguments.positional_only_arguments.last_mut();
        argument.ok_or("__getitem__ has no index")?.annotation = Some(read(index)?);
        find_class(module, class)?.methods.push(item);
    }
    for (class, ..) in ITEMS {
        let of_class = &mut find_class(module, class)?.methods;
        of_class.retain(|m| m.name != "__getitem__" || !m.decorators.is_empty());
    }
    Ok(())
}

fn find_class<'a>(module: &'a mut Module, name: &str) -> Result<&'a mut Class, String> {
    let class = module.classes.iter_mut().find(|c| c.name == name);
    class.ok_or_else(|| format!("the native module has no class {name}: mend xtask's tables"))
}

fn find_method<'a>(module: &'a mut Module, class: &str, name: &str) -> Result<&'a mut Function, String> {
    let method = find_class(module, class)?.methods.iter_mut().find(|m| m.name == name);
    method.ok_or_else(|| format!("{class} has no method {name}: mend xtask's tables"))
}
