/** What drives are called. Pure. */
import type { Drive } from '../../../src-shared/model/machine.ts'

export const DRIVE_TITLES: Record<Drive['kind'], string> = { disk: 'Disk', cdrom: 'CD drive', floppy: 'Floppy drive' }

/** "Disk", or "Disk 2" where there are several. */
export function numbered<T>(title: string, one: T, alike: readonly T[]): string {
  return alike.length > 1 ? `${title} ${alike.indexOf(one) + 1}` : title
}

/** @param drive one of `drives` */
export function driveTitle<T extends Pick<Drive, 'kind'>>(drive: T, drives: readonly T[]): string {
  return numbered(
    DRIVE_TITLES[drive.kind],
    drive,
    drives.filter(({ kind }) => kind === drive.kind),
  )
}

/** @param ids of disks that states of a machine had; @param drives that it has now, after which those are called that are among them; @returns one for each */
export function diskTitles(ids: readonly string[], drives: readonly Pick<Drive, 'id' | 'kind'>[]): string[] {
  const gone = ids.filter((id) => !drives.some((drive) => drive.id === id))
  return ids.map((id) => {
    const drive = drives.find((one) => one.id === id)
    return drive ? driveTitle(drive, drives) : numbered('Former disk', id, gone)
  })
}
