/** What machines may use up of the host, on each network. Beyond them, what is new is not taken up; what is there goes on. */
export const MAX_TCP_FLOWS = 8192
export const MAX_TCP_FLOWS_OF_MACHINE = 2048
/** Connections that are still being made: half-open ones of guests, and of the host's. */
export const MAX_TCP_OPENING = 1024
export const MAX_TCP_OPENING_OF_MACHINE = 256
export const MAX_UDP_FLOWS = 2048
export const MAX_UDP_FLOWS_OF_MACHINE = 512

/** Bytes of each of a flow's two buffers: at first, and when it has shown that it can use them. Powers of two. */
export const FIRST_BUFFER = 128 * 1024
export const MAX_BUFFER = 1024 * 1024
/** Bytes that a host's socket gives at once. */
export const READ_SIZE = 64 * 1024
/** Bytes that all buffers together may grow to. */
export const MAX_BUFFERS = 512 * 1024 * 1024

/** Bytes that are taken and given back; what is taken is below a limit. */
export class Budget {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  get left(): number {
    return this.#left
  }

  /** False: not as much is left, and none is taken. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}
