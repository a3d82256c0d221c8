/** How failures become exit codes and sentences. */
import { AppError } from '../../../src-shared/errors/app-error.ts'

/** 0: done. 1: failed, with one sentence on standard error. 2: the command was written wrongly. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const

/**
 * `coppice exec` ends as its program did. Its own failures have numbers that programs seldom have: those of timeout(1), of the runners of containers,
 * and of a shell for SIGINT.
 */
export const EXEC_EXIT = { timeout: 124, failed: 125, interrupted: 130 } as const

/** `coppice disk check`: what it found and did not mend. 3 is what qemu-img says of leaks too. */
export const CHECK_EXIT = { leaks: 3, corrupt: 4 } as const

/** The command line itself is wrong: exit code 2. The message is a sentence. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/**
 * One sentence (or one for each wrong field) for people.
 * @param keys what a field of the API is called on the command line: "memoryMiB" is "--memory" or "memory"
 */
export function errorSentence(error: AppError, keys: ReadonlyMap<string, string> = new Map()): string {
  const fields = error.details.fields ?? []
  if (fields.length === 0) return error.message
  const sentences = fields.map(({ path, message }) => {
    const known = [...keys].find(([field]) => `.${path}.`.includes(`.${field}.`))
    return known ? `${known[1]}: ${message}` : message
  })
  // Of several items of one list the same can be wrong.
  return [...new Set(sentences)].join(' ')
}

/** The same error with its sentence in the command line's words. */
export function inWordsOf(keys: ReadonlyMap<string, string>): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, errorSentence(error, keys), { ...error.details, fields: undefined }, error)
  }
}
