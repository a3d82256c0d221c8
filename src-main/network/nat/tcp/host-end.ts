/** The other end of a machine's connection: a socket of the host, or a service of the gateway. */
export interface HostEnd {
  /** Bytes that were written and have not gone out yet. */
  readonly backlog: number
  /** The two follow each other, and stay as they are until they have gone out (`HostEvents.written`). */
  write(first: Buffer, second: Buffer | null): void
  /** Nothing more is written. */
  end(): void
  /** No data until `resume`. */
  pause(): void
  resume(): void
  /** Gone both ways at once; nothing is told any more. @param reset so that its other end sees an error and no end */
  destroy(reset: boolean): void
}

/** What an end tells its connection. */
export interface HostEvents {
  /** It can be written to. */
  connected(): void
  /** Lent for the call. False: nothing more before `resume`. */
  data(bytes: Uint8Array): boolean
  /** It writes nothing more; it may still read. */
  ended(): void
  /** The backlog is smaller. */
  written(): void
  /** Gone. @param error the system's code; null: as both sides wanted */
  closed(error: string | null): void
}
