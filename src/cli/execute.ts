/** What the compiled program starts with: bundled with the commands, so that both have one oclif. */
export { execute } from '@oclif/core'
