/** Does a job on images, to be killed meanwhile. Argument: which, and what it is done with, as JSON. */
import { checkImage } from '../../../../src-main/storage/jobs/check-image.ts'
import { commitImage } from '../../../../src-main/storage/jobs/commit-image.ts'
import { compactImage } from '../../../../src-main/storage/jobs/compact-image.ts'
import { convertImage, type ConvertTarget } from '../../../../src-main/storage/jobs/convert-image.ts'
import { copyImage } from '../../../../src-main/storage/jobs/copy.ts'
import { createImage, type CreateChoice } from '../../../../src-main/storage/jobs/create-image.ts'
import { rebaseImage } from '../../../../src-main/storage/jobs/rebase-image.ts'
import { resizeImage } from '../../../../src-main/storage/jobs/resize-image.ts'
import type { DiskFormat } from '../../../../src-shared/model/disk-format.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const image = (path: string, format: DiskFormat) => ({ path, format, folders: [] })

export type Job =
  | { job: 'create'; choice: CreateChoice }
  | { job: 'convert'; path: string; format: DiskFormat; target: ConvertTarget }
  | { job: 'copy'; path: string; to: string }
  | { job: 'resize'; path: string; format: DiskFormat; size: number }
  | { job: 'compact'; path: string; format: DiskFormat }
  | { job: 'repair'; path: string; format: DiskFormat }
  | { job: 'commit'; path: string }
  | { job: 'rebase'; path: string; backing: string | null }

async function run(job: Job): Promise<unknown> {
  switch (job.job) {
    case 'create':
      return createImage(job.choice)
    case 'convert':
      return convertImage(image(job.path, job.format), job.target, quiet)
    case 'copy':
      return copyImage(job.path, job.to, quiet)
    case 'resize':
      return resizeImage(image(job.path, job.format), job.size, true)
    case 'compact':
      return compactImage(image(job.path, job.format), quiet)
    case 'repair':
      return checkImage(image(job.path, job.format), true, quiet)
    case 'commit':
      return commitImage(image(job.path, 'qcow2'), quiet)
    case 'rebase':
      return rebaseImage(
        { image: image(job.path, 'qcow2'), backing: job.backing === null ? null : image(job.backing, 'qcow2'), unsafe: false },
        quiet,
      )
  }
}

const job = JSON.parse(process.argv[2]!) as Job
process.stdout.write('begins\n')
await run(job)
