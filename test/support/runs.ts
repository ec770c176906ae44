/**
 * How many cases a property is tried with: `usual` in script/test, `FUZZ_RUNS` of them by script/fuzz,
 * divided among as many tests as share them.
 */
export function runs(usual: number, shared = 1): { readonly numRuns: number } {
  const asked = Number(process.env['FUZZ_RUNS'] ?? 0)
  return { numRuns: Math.max(usual, Math.ceil(asked / shared)) }
}
