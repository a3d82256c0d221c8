/** The sentences that the formats of this folder's neighbours share. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'

/** @param what a clause: "its block map lies outside of the file" */
export function damaged(path: string, what: string): AppError {
  return new AppError('corrupt', `The disk image “${path}” is damaged: ${what}. Restore it from a copy, or choose another image.`, {
    subject: path,
  })
}

/** @param what a sentence, and what to do */
export function unsupported(path: string, what: string): AppError {
  return new AppError('unsupported', `The disk image “${path}” cannot be used: ${what}`, { subject: path })
}

/**
 * The size of a disk that is to be made, bytes.
 * @param most bytes that the format can hold
 * @throws AppError `invalid-input`
 */
export function checkedSize(size: number, most: number, format: string): number {
  if (!Number.isSafeInteger(size) || size < 512 || size % 512 !== 0 || size > most)
    throw new AppError('invalid-input', `A ${format} disk cannot have ${size} bytes. Choose a multiple of 512 bytes, at most ${most}.`, {
      fields: [{ path: 'size', message: `${size} is not a size that ${format} can have.` }],
    })
  return size
}
