//! Bounds on the code of a component, checked before any of it is compiled.
//!
//! Time and memory of the compiler grow with the size of single functions, their branches, the locals live across
//! their blocks, and nested loops, not with the size of the component. Measured with wasmtime 48 on one core: 200 KB of
//! additions in a single function take 4 s and 190 MB; 50,000 branches to the same block take 6 s, quadratic in their
//! number; 3 KB with 300 nested loops take 3.5 s. CPython, the largest component in use, stays below two thirds of each
//! bound.

use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

/// Bytes of a function body. The largest in CPython has 417 KiB.
const FUNCTION_BYTES: usize = 640 << 10;
/// Bytes from which a function counts as large. Those of CPython have 670 KiB in total.
const LARGE_FUNCTION_BYTES: usize = 64 << 10;
/// Bytes of all large functions.
const LARGE_FUNCTIONS_BYTES: usize = 1536 << 10;
/// Blocks and branches of a function. The most in CPython are about 16,000.
const BRANCHES: u64 = 40_000;
/// Nesting of loops. QuickJS has 21.
const LOOPS: u64 = 64;
const FUNCTIONS: u64 = 100_000;
const MODULES: u64 = 1_000;
/// Locals times branches times nested loops, summed over all functions: a bound for the values that the compiler
/// carries from block to block. CPython has 13 million.
const CARRIED: u64 = 32_000_000;
/// Parameters of a function or block type.
const PARAMETERS: usize = 64;
/// Results of a function or block type.
const RESULTS: usize = 16;

/// Checks the code of a component. The error is a clause for the operator.
pub(in super::super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut sums = Totals::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } => sums.modules += 1,
            Payload::TypeSection(types) => {
                for function in types.into_iter_err_on_gc_types() {
                    let function = function.map_err(malformed)?;
                    signature(function.params().len(), function.results().len())?;
                }
            }
            Payload::CodeSectionEntry(body) => sums.add(&body)?,
            _ => {}
        }
    }
    sums.check()
}

/// Totals over the functions of a component.
#[derive(Default)]
struct Totals {
    modules: u64,
    functions: u64,
    large: usize,
    carried: u64,
}

impl Totals {
    fn add(&mut self, body: &FunctionBody<'_>) -> Result<(), String> {
        self.functions += 1;
        let bytes = body.as_bytes().len();
        within(
            "a function's body",
            bytes as u64,
            FUNCTION_BYTES as u64,
            "bytes",
        )?;
        if bytes > LARGE_FUNCTION_BYTES {
            self.large += bytes;
        }
        let locals = locals(body).map_err(malformed)?;
        let ControlFlow { branches, loops } = ControlFlow::of(body).map_err(malformed)?;
        within("a function", branches, BRANCHES, "blocks and branches")?;
        within("a function", loops, LOOPS, "loops in one another")?;
        let carried = (locals + 1).saturating_mul(branches);
        let carried = carried.saturating_mul(loops + 1);
        self.carried = self.carried.saturating_add(carried);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        within("it", self.modules, MODULES, "modules")?;
        within("it", self.functions, FUNCTIONS, "functions")?;
        let limit = LARGE_FUNCTIONS_BYTES as u64;
        let large = "all its functions of more than 64 KiB together";
        within(large, self.large as u64, limit, "bytes")?;
        within(
            "it",
            self.carried,
            CARRIED,
            "locals times branches times loops",
        )
    }
}

fn locals(body: &FunctionBody<'_>) -> wasmparser::Result<u64> {
    let mut locals = 0_u64;
    for group in body.get_locals_reader()? {
        locals += u64::from(group?.0);
    }
    Ok(locals)
}

/// The control flow of a function.
#[derive(Default)]
struct ControlFlow {
    /// Blocks, and branches to them.
    branches: u64,
    /// The deepest nesting of loops.
    loops: u64,
}

impl ControlFlow {
    fn of(body: &FunctionBody<'_>) -> wasmparser::Result<Self> {
        let mut blocks = Self::default();
        // The enclosing blocks, `true` for loops.
        let (mut open, mut loops) = (Vec::new(), 0);
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match &operator {
                Operator::Loop { .. } => {
                    open.push(true);
                    loops += 1;
                    blocks.loops = blocks.loops.max(loops);
                }
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    open.push(false);
                }
                Operator::End if open.pop() == Some(true) => loops -= 1,
                _ => {}
            }
            blocks.branches += branches(&operator);
        }
        Ok(blocks)
    }
}

fn branches(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
            // A block with a type of its own carries its parameters too. Rare.
            1 + u64::from(matches!(blockty, BlockType::FuncType(_))) * PARAMETERS as u64
        }
        Operator::Br { .. } | Operator::BrIf { .. } => 1,
        Operator::BrTable { targets } => u64::from(targets.len()),
        _ => 0,
    }
}

fn signature(parameters: usize, results: usize) -> Result<(), String> {
    let subject = "the type of a function";
    within(subject, parameters as u64, PARAMETERS as u64, "parameters")?;
    within(subject, results as u64, RESULTS as u64, "results")
}

fn within(subject: &str, found: u64, limit: u64, unit: &str) -> Result<(), String> {
    if found > limit {
        return Err(format!(
            "{subject} has {found} {unit}, and {limit} are allowed: compiling it could take minutes \
             and gigabytes"
        ));
    }
    Ok(())
}

fn malformed(error: wasmparser::BinaryReaderError) -> String {
    format!("it is not a component: {error}")
}
