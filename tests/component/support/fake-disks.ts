/** What is said of machines' disks, and done with them, without any. */
import type { DiskState, DiskWork } from '../../../src-shared/api/disks.ts'
import { GiB } from '../../../src-shared/base/units.ts'
import type { ImageCheck } from '../../../src-shared/model/image-info.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'

const NOTHING: Record<DiskWork, string | null> = { grow: null, shrink: null, compact: null, check: null, repair: null }

export class FakeDisks {
  /** By drive: what differs from an empty disk of 20 GiB that is free to be worked on. */
  readonly states = new Map<string, Partial<DiskState>>()
  readonly resized: unknown[] = []
  readonly added: unknown[] = []
  readonly deleted: string[] = []
  check: ImageCheck | null = { corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: [] }

  list(bundle: string, config: MachineConfig): DiskState[] {
    return config.drives.flatMap((drive) => {
      if (drive.kind !== 'disk' || drive.path === null) return []
      const path = drive.path.startsWith('/') ? drive.path : `${bundle}/${drive.path}`
      return [
        {
          ...{ drive: drive.id, path, format: drive.format, problem: null, why: NOTHING },
          measure: { size: 20 * GiB, storedBytes: 3 * GiB, belowBytes: 0, resizable: true },
          ...this.states.get(drive.id),
        },
      ]
    })
  }
}

export function all(reason: string | null): Record<DiskWork, string | null> {
  return Object.fromEntries(Object.keys(NOTHING).map((work) => [work, reason])) as Record<DiskWork, string | null>
}
