/** A number with its noun: `1 session`, `2 sessions`, `2 addresses`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
