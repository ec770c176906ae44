/** The signals that a daemon obeys. */

export interface Signals extends Disposable {
  /** Resolves with the name of the first signal that ends the daemon. */
  readonly stop: Promise<string>
  onReload: () => void
  /** Called at the second signal that ends the daemon. */
  onHurry: () => void
}

export function listenForSignals(): Signals {
  const stop = Promise.withResolvers<string>()
  let isStopping = false
  const end = (signal: string): void => {
    if (isStopping) signals.onHurry()
    isStopping = true
    stop.resolve(signal)
  }
  const reload = (): void => signals.onReload()
  process.on('SIGTERM', end).on('SIGINT', end).on('SIGHUP', reload)
  const signals: Signals = {
    stop: stop.promise,
    onReload: () => undefined,
    onHurry: () => undefined,
    [Symbol.dispose]() {
      process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', reload)
    },
  }
  return signals
}
