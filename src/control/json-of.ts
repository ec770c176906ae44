/** A result that is JSON already: a long list is written where it is known, and only handed on. */
export class JsonOf<Result> {
  readonly text: string
  /** Never set: it tells the types apart. */
  declare readonly of: Result

  constructor(text: string) {
    this.text = text
  }
}
