/** Qcow2 against qemu-img and qemu-io: they read what we write, we read what they write. */
import { describe, test } from 'vitest'
import { createQcow2 } from '../../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { openQcow2 } from '../../../src-main/storage/formats/qcow2/open-qcow2.ts'
import { exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

const MiB = 1024 * 1024

describe.skipIf(WITHOUT_QEMU_IMG)('qcow2 and qemu-img', () => {
  test.each([
    ['compat=1.1', 37 * MiB + 5 * 512],
    ['compat=0.10,cluster_size=4k', 9 * MiB],
    ['cluster_size=512,refcount_bits=64', 3 * MiB],
    ['cluster_size=512,refcount_bits=1', 3 * MiB],
    ['cluster_size=2M', 37 * MiB],
    ['lazy_refcounts=on,refcount_bits=8,cluster_size=8k', 9 * MiB],
    ['preallocation=metadata,cluster_size=16k', 9 * MiB],
  ])('their images: %s', async (options, size) => {
    await exchangeWithQemu({ format: 'qcow2', options, size, check: true, open: openQcow2 })
  })

  test.each([
    [{}, 37 * MiB + 512],
    [{ version: 2, clusterSize: 4096 }, 9 * MiB],
    [{ clusterSize: 512, refcountBits: 2 }, 3 * MiB],
    [{ clusterSize: 2 * MiB, refcountBits: 32 }, 37 * MiB],
    [{ lazyRefcounts: true, clusterSize: 8192 }, 9 * MiB],
    [{ preallocation: 'metadata', clusterSize: 4096, refcountBits: 4 }, 9 * MiB],
  ] as const)('our images: %o', async (options, size) => {
    await exchangeWithQemu({
      format: 'qcow2',
      size,
      check: true,
      open: openQcow2,
      create: (file, choice) => createQcow2(file, { ...options, ...choice }),
    })
  })
})
