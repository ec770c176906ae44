/** Marks the branch that no value can reach; adding a variant without its case does not compile. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
