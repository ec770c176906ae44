/** What workers do not inherit. */

/** What would change how workers run: the environment is that of whoever starts the daemon. */
export function cleanEnvironment(): void {
  const names = ['NODE_OPTIONS', 'NODE_PATH', 'NODE_DEBUG', 'NODE_TLS_REJECT_UNAUTHORIZED']
  for (const name of names) Reflect.deleteProperty(process.env, name)
}
