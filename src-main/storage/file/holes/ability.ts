import { constants } from 'node:os'

const { errno } = constants

/** Errors that mean: this file system never can (fallocate(2), and what XNU's file systems answer to a command of fcntl(2) that they lack). */
const NEVER: ReadonlySet<number> = new Set([errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENODEV, errno.ENOTTY, errno.ESPIPE])

/** Whether one file's file system can make holes: true until it says that it never can, which goes to the log once. */
export class Ability {
  has = true
  #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** @param error number of the system */
  failed(error: number): void {
    if (NEVER.has(error)) this.lost(error)
  }

  lost(error: number): void {
    if (this.has)
      console.error(`The file system of “${this.#path}” cannot make holes in files (error ${error}): zeroes are written instead.`)
    this.has = false
  }
}
