/** What goes wrong when hardware is changed, and what was done of it before. */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'

/**
 * Work of several steps, of which none is left where one fails. Each step says how it is undone.
 * @throws what failed
 */
export async function undoing(work: (undo: (step: () => Promise<unknown>) => void) => Promise<void>): Promise<void> {
  const steps: (() => Promise<unknown>)[] = []
  try {
    await work((step) => steps.unshift(step))
  } catch (error) {
    for (const step of steps) await step().catch((second: unknown) => console.error(asAppError(second).message))
    throw error
  }
}

/** QEMU's refusal of an image, as people read it. */
export function cannotUse(path: string): (error: unknown) => never {
  return (error) => {
    const { message, details, code } = asAppError(error)
    const told = (kind: typeof code, sentence: string): AppError => new AppError(kind, sentence, { ...details, subject: path }, error)
    if (/Failed to get .* lock|Is another process using/.test(message))
      throw told('busy', `“${path}” is in use by another machine or program. Stop that first, or choose another image.`)
    if (/No such file/.test(message)) throw told('not-found', `“${path}” is not there. Choose another image.`)
    if (/Permission denied/.test(message)) throw told('denied', `You have no permission to use “${path}”.`)
    throw told(code, `“${path}” cannot be used: ${message}`)
  }
}
