//! What a component's code may be made of, read before any of it is compiled.
//!
//! The compiler's time and memory grow with the size of single functions, with their branches,
//! with the locals that they carry through their blocks, and with loops in loops, not with the
//! size of the component. Measured with wasmtime 48 on one core: 200 KB of additions in one
//! function take 4 s and 190 MB; 50,000 branches to one block 6 s, and that grows with their
//! square; 3 KB with 300 loops in one another 3.5 s. CPython, the largest component in use, is at
//! two thirds of each bound at most.

use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

/// The body of one function; CPython's largest has 417 KiB.
const FUNCTION_BYTES: usize = 640 << 10;
/// A function above this is a large one. CPython's are 670 KiB together.
const LARGE_FUNCTION_BYTES: usize = 64 << 10;
const LARGE_FUNCTIONS_BYTES: usize = 1536 << 10;
/// Blocks and branches of one function; CPython's most have some 16,000.
const BRANCHES: u64 = 40_000;
/// Loops in one another; QuickJS has 21.
const LOOPS: u64 = 64;
const FUNCTIONS: u64 = 100_000;
const MODULES: u64 = 1_000;
/// Locals times branches times loops in one another, of all functions: what the compiler may have
/// to carry from block to block. CPython's are 13 million.
const CARRIED: u64 = 32_000_000;
/// Of one type of function, or of a block.
const PARAMETERS: usize = 64;
const RESULTS: usize = 16;

/// The error is a clause for the operator.
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

/// How the code of one function is laid out.
#[derive(Default)]
struct ControlFlow {
    /// Blocks, and branches to them.
    branches: u64,
    /// How many loops are in one another at most.
    loops: u64,
}

impl ControlFlow {
    fn of(body: &FunctionBody<'_>) -> wasmparser::Result<Self> {
        let mut blocks = Self::default();
        // The blocks that are open, true for loops.
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
            // One with a type of its own may carry that, too; it is rare.
            1 + u64::from(matches!(blockty, BlockType::FuncType(_))) * PARAMETERS as u64
        }
        Operator::Br { .. } | Operator::BrIf { .. } => 1,
        Operator::BrTable { targets } => u64::from(targets.len()),
        _ => 0,
    }
}

fn signature(parameters: usize, results: usize) -> Result<(), String> {
    let what = "the type of a function";
    within(what, parameters as u64, PARAMETERS as u64, "parameters")?;
    within(what, results as u64, RESULTS as u64, "results")
}

fn within(what: &str, found: u64, limit: u64, unit: &str) -> Result<(), String> {
    if found > limit {
        return Err(format!(
            "{what} has {found} {unit}, and {limit} are allowed: compiling it could take minutes \
             and gigabytes"
        ));
    }
    Ok(())
}

fn malformed(error: wasmparser::BinaryReaderError) -> String {
    format!("it is not a component: {error}")
}
