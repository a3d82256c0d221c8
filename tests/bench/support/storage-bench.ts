import type { Client } from '../../../src-shared/rpc/service.ts'
import type { storageThread } from '../../../src-shared/threads/storage-thread.ts'

/** What the figures of storage share. */
export interface StorageBench {
  folder: string
  /** Bytes of the disks. */
  size: number
  /** A raw image of noise. */
  random: string
  /** A raw image with little in it, and holes. */
  sparse: string
  storage: Client<typeof storageThread>
}
