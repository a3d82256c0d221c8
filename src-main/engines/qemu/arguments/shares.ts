/** Folders of this computer in the guest (9p over virtio). */
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import { slot, type Board } from './board.ts'
import { device, option } from './option.ts'

/**
 * Files that a guest makes have their owner and mode in extended attributes, and its symbolic links and devices are plain files here
 * (`mapped-xattr`): nothing that a guest makes means anything to this computer, and no rights are needed. A read-only folder is shown as it is
 * (`none`), with its own links, which the guest resolves on its side. In both, QEMU opens every path one element after the other
 * and follows no link, so that no name leads out of the folder (CVE-2016-9602), and, where CVE-2023-2861 is
 * mended, opens no devices and pipes in it.
 * Where the folder's file system has no such attributes (FAT, some network file systems), a guest can read and change what is there, and make
 * nothing.
 */
export function shareArguments({ sharedFolders }: MachineSpec, board: Board): string[] {
  return sharedFolders.flatMap(({ tag, path, readOnly }, at) => [
    '-fsdev',
    option('local', {
      id: `share${at}`,
      path,
      security_model: readOnly ? 'none' : 'mapped-xattr',
      readonly: readOnly,
      // Files of two file systems under one folder may have the same inode number.
      multidevs: 'remap',
    }),
    ...device('virtio-9p-pci', { id: `share${at}-device`, ...slot(board, 'share', at), fsdev: `share${at}`, mount_tag: tag }),
  ])
}
