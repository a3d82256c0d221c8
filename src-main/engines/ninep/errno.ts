/** Error numbers as Linux has them (9P2000.L's Rlerror carries those, whatever the host's system is), and where they come from. */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  EDQUOT: 122,
} as const
export type ErrnoName = keyof typeof ERRNO

/** What a request is refused with. Its name is a system error's, as Node names them. */
export class Refusal extends Error {
  readonly code: ErrnoName

  constructor(code: ErrnoName) {
    super(code)
    this.code = code
  }
}

/** The number for whatever was thrown: a refusal, or a system error of the host. What a guest cannot be told is EIO. */
export function errnoOf(error: unknown): number {
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'ENOTSUP') return ERRNO.EOPNOTSUPP
  return typeof code === 'string' && Object.hasOwn(ERRNO, code) ? ERRNO[code as ErrnoName] : ERRNO.EIO
}
