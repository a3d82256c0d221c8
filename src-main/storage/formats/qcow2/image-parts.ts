/** What the parts of an open image share. */
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { RequestOrder } from '../../request-order.ts'
import type { Qcow2Header } from './header.ts'
import type { HeaderSector } from './header-sector.ts'
import type { Mapping } from './mapping.ts'
import type { MetadataPlaces } from './metadata-places.ts'
import type { Refcounts } from './refcounts.ts'
import type { WriteBack } from './write-back.ts'

export interface ImageParts {
  file: ByteFile
  header: Qcow2Header
  /** Its size changes with the disk's. */
  info: BlockInfo & { size: number }
  mapping: Mapping
  backing: BlockDevice | null
  /** By whole clusters: shared by those that leave the mapping as it is, alone for those that change it. */
  order: RequestOrder
  /** null: the image is open for reading only. */
  writing: WritingParts | null
}

export interface WritingParts {
  refcounts: Refcounts
  places: MetadataPlaces
  headerSector: HeaderSector
  writeBack: WriteBack
}
