/** A machine whose disk changes: what changed is shown, it becomes a template, and a machine is made from it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createImage } from '../../src-main/storage/jobs/create-image.ts'
import { openImage } from '../../src-main/storage/open-image.ts'
import { expect, test } from './support.ts'

const MiB = 1024 * 1024
const ID = '3b241101-e2bb-4255-8caf-4136c566a962'

async function prepare(library: string): Promise<void> {
  const bundle = path.join(library, 'golden.coppice')
  await mkdir(path.join(bundle, 'disks'), { recursive: true })
  await createImage({ path: path.join(bundle, 'disks', 'disk0.qcow2'), format: 'qcow2', size: 256 * MiB, backing: null })
  const config = {
    ...{ schema: 1, id: ID, created: '2026-01-01T00:00:00.000Z', name: 'golden', engine: 'embedded', boot: { kind: 'firmware' } },
    drives: [{ id: 'disk0', kind: 'disk', path: 'disks/disk0.qcow2', format: 'qcow2' }],
  }
  await writeFile(path.join(bundle, 'machine.json'), JSON.stringify(config))
}

/** As a guest would. */
async function change(library: string): Promise<void> {
  const bundle = path.join(library, 'golden.coppice')
  const { drives } = JSON.parse(await readFile(path.join(bundle, 'machine.json'), 'utf8')) as { drives: { path: string }[] }
  const folders = [path.join(bundle, 'disks')]
  const disk = await openImage({ path: path.join(bundle, drives[0]!.path), format: 'qcow2', readOnly: false, folders })
  await disk.write(128 * MiB, new Uint8Array(3 * MiB).fill(7))
  await disk.close()
}

test.use({ library: { prepare } })

test('compare two states, make a template, make a machine from it', async ({ workstation, page, served }) => {
  const golden = await workstation.open('golden')
  await golden.tab('Snapshots')
  await page.keyboard.press('ControlOrMeta+Shift+S')
  await page.keyboard.type('Fresh')
  await page.keyboard.press('Enter')
  const card = (name: string) => page.getByRole('treeitem', { name: new RegExp(`^${name}`) })
  await expect(card('Fresh')).toContainText('Was off')
  await expect(card('You are here')).toContainText('since “Fresh”')
  await change(served.library)

  await card('You are here').click()
  await card('Fresh').click({ modifiers: ['ControlOrMeta'] })
  const comparison = page.getByRole('dialog', { name: 'Compare states of “golden”' })
  await expect(comparison.getByText('3 MiB changed, in 768 blocks of 4 KiB; the disk has 256 MiB.')).toBeVisible()
  await expect(comparison.getByRole('img', { name: /^Disk, where it differs/ })).toBeVisible()
  await page.keyboard.press('Escape')

  await golden.more('Make it a template')
  await expect(workstation.row('golden')).toContainText('Template')
  await expect(golden.startButton).toBeHidden()
  await golden.power('New machine…').click()
  const dialog = page.getByRole('dialog', { name: 'New machine from “golden”' })
  await dialog.getByRole('textbox', { name: 'Name of the machine' }).fill('web-1')
  await dialog.getByRole('button', { name: 'Create' }).click()
  const made = workstation.machine('web-1')
  await made.expectState('Off', 30_000)
  await expect(workstation.row('web-1')).toContainText('Off')
  // Its state had changed since the snapshot, so that another one was taken, at which it begins.
  await workstation.open('golden')
  await golden.tab('Snapshots')
  await expect(card('Where “web-1” began')).toBeVisible()
})
