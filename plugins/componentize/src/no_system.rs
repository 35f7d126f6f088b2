//! A WASI (preview 1) that grants nothing and needs nothing of a host, for the runtimes of languages that cannot do without one.
//!
//! A plugin is pure, so nothing here tells two calls or two instances apart:
//!
//! - The clock stands still, at the first nanosecond: the runtime of Go refuses zero. Random bytes are left as they are.
//! - There are no arguments, no environment and no files: a descriptor is a bad one, output included.
//! - To end the process is a trap.
//!
//! The functions keep no state and allocate nothing. The adapter that others use grows the module's memory, which the
//! runtime of Go takes for its own.

use anyhow::{Context, Result, bail};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    InstructionSink, MemArg, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, FuncType, Parser, Payload, TypeRef};

/// The module that programs import WASI from.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";

/// The code of WASI for a descriptor that is not open.
const BAD_DESCRIPTOR: i32 = 8;

/// A core module with each function that `module` imports of WASI; none if it imports none.
pub(crate) fn module(module: &[u8]) -> Result<Option<Vec<u8>>> {
    let wanted = imports(module)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    let (mut functions, mut exports, mut code) = (
        FunctionSection::new(),
        ExportSection::new(),
        CodeSection::new(),
    );
    let memory = MemoryType {
        minimum: 0,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    imports.import("env", "memory", memory);
    for (index, (name, signature)) in (0_u32..).zip(&wanted) {
        types
            .ty()
            .function(values(signature.params())?, values(signature.results())?);
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        let mut body = Function::new([]);
        write(name, &mut body.instructions());
        code.function(&body);
    }
    let mut system = Module::new();
    system
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&exports)
        .section(&code);
    Ok(Some(system.finish()))
}

/// The body of a function.
fn write(name: &str, body: &mut InstructionSink<'_>) {
    let at = |align| MemArg {
        offset: 0,
        align,
        memory_index: 0,
    };
    match name {
        "proc_exit" => {
            body.unreachable();
        }
        "args_sizes_get" | "environ_sizes_get" => {
            for place in 0..2 {
                body.local_get(place).i32_const(0).i32_store(at(2));
            }
            body.i32_const(0);
        }
        "clock_time_get" => {
            body.local_get(2).i64_const(1).i64_store(at(3)).i32_const(0);
        }
        "args_get" | "environ_get" | "random_get" | "sched_yield" => {
            body.i32_const(0);
        }
        _ => {
            body.i32_const(BAD_DESCRIPTOR);
        }
    }
    body.end();
}

/// The functions that a module imports of WASI.
fn imports(module: &[u8]) -> Result<Vec<(String, FuncType)>> {
    let mut types = Vec::new();
    let mut wanted: Vec<(String, FuncType)> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("read the module")? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group?.into_types());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let TypeRef::Func(index) = import.ty else {
                        continue;
                    };
                    // A module may import a function twice, as those of Go do.
                    let known = wanted.iter().any(|(name, _)| name == import.name);
                    if import.module != WASI || known {
                        continue;
                    }
                    let found = types
                        .get(usize::try_from(index)?)
                        .map(|found| &found.composite_type.inner);
                    let Some(CompositeInnerType::Func(signature)) = found else {
                        bail!("{} is no function", import.name);
                    };
                    wanted.push((import.name.to_owned(), signature.clone()));
                }
            }
            _ => {}
        }
    }
    Ok(wanted)
}

fn values(types: &[wasmparser::ValType]) -> Result<Vec<ValType>> {
    let value = |found: &wasmparser::ValType| match found {
        wasmparser::ValType::I32 => Ok(ValType::I32),
        wasmparser::ValType::I64 => Ok(ValType::I64),
        other => bail!("no function of WASI has a value of the type {other}"),
    };
    types.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_that_is_imported_is_there_once() -> Result<()> {
        let imports = r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "env" "other" (func (param f64)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;
        let system = module(&wat::parse_str(imports)?)?.context("a module")?;
        wasmparser::validate(&system)?;
        let mut exported = Vec::new();
        for payload in Parser::new(0).parse_all(&system) {
            if let Payload::ExportSection(section) = payload? {
                for export in section {
                    exported.push(export?.name.to_owned());
                }
            }
        }
        assert_eq!(
            exported,
            ["fd_write", "clock_time_get", "args_sizes_get", "proc_exit"]
        );
        assert!(module(&wat::parse_str("(module)")?)?.is_none());
        Ok(())
    }
}
