/** What is believed of an image's header before anything is allocated or walked. The sizes of tables are those that QEMU's own driver accepts. */
import { KiB, MiB } from '../../../../src-shared/base/units.ts'

/** Cluster sizes: 512 bytes to 2 MiB. */
export const MIN_CLUSTER_BITS = 9
export const MAX_CLUSTER_BITS = 21
/** Bytes of an L1 table. */
export const MAX_L1_BYTES = 32 * MiB
/** Bytes of the refcount table. */
export const MAX_REFCOUNT_TABLE_BYTES = 8 * MiB
export const MAX_SNAPSHOTS = 65_536
/** Bytes of the table that lists the internal snapshots. */
export const MAX_SNAPSHOT_TABLE_BYTES = 16 * MiB
/** Bytes of what a snapshot's entry may say beyond the fields known here. */
export const MAX_SNAPSHOT_EXTRA_BYTES = 1 * KiB
export const MAX_BACKING_NAME_BYTES = 1023
export const MAX_BITMAPS = 65_535
/** Bytes of the table that lists the bitmaps. */
export const MAX_BITMAP_DIRECTORY_BYTES = 64 * MiB

/** Bytes of L2 tables kept in memory, as far as they are used; when half of them have changed they are written unasked: the tables of a disk of 256 GiB with clusters of 64 KiB. */
export const L2_CACHE_BYTES = 32 * MiB
/** The same for an image that is open for reading only, as the layers of a chain are, which can be many. */
export const L2_CACHE_BYTES_READING = 8 * MiB
/** Bytes of refcount blocks kept in memory; likewise. */
export const REFCOUNT_CACHE_BYTES = 8 * MiB
/** Runs of clusters waiting to be freed, above which metadata is written without a flush of the guest's. */
export const MAX_PENDING_FREES = 16_384
/** Bytes of the part of an L2 table that is read and kept at once. */
export const SLICE_BYTES = 16 * KiB
