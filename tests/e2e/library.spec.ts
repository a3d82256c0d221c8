/** The library: bundles that are good, broken, newer, many, renamed, duplicated, thrown away and brought back. */
import { cp, mkdir, writeFile, readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { randomUUID } from 'node:crypto'
import { expect, test } from './support.ts'

async function writeBundle(library: string, name: string, text: string): Promise<void> {
  const folder = path.join(library, `${name}.coppice`)
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'machine.json'), text)
}

function config(name: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ schema: 1, id: randomUUID(), created: new Date().toISOString(), name, boot: { kind: 'firmware' }, ...more })
}

test.describe('a library with trouble in it', () => {
  test.use({
    library: {
      async prepare(library: string) {
        await writeBundle(library, 'good', config('good'))
        await writeBundle(library, 'broken', '{ not json')
        await writeBundle(library, 'newer', JSON.stringify({ schema: 99, id: randomUUID(), name: 'newer' }))
      },
    },
  })

  test('what cannot be read is shown with its reason and left untouched', async ({ workstation, served, page }) => {
    await workstation.row('broken').click()
    await expect(page.getByRole('main')).toContainText('machine.json')
    await workstation.row('newer').click()
    await expect(page.getByRole('main')).toContainText('newer Coppice')
    expect(await readFile(path.join(served.library, 'broken.coppice/machine.json'), 'utf8')).toBe('{ not json')
    const good = await workstation.open('good')
    await good.expectState('Off')
  })

  test('rename, duplicate, trash and undo', async ({ workstation, served, page }) => {
    const good = await workstation.open('good')
    await good.more('Rename…')
    const rename = page.getByRole('dialog', { name: /Rename/ })
    await rename.getByRole('textbox').fill('../escape')
    await expect(rename).toContainText('“/”')
    await expect(rename.getByRole('button', { name: 'Rename' })).toBeDisabled()
    await rename.getByRole('textbox').fill('better')
    await rename.getByRole('button', { name: 'Rename' }).click()
    const better = workstation.machine('better')
    await better.expectState('Off')
    await expect.poll(() => readdir(served.library)).toContain('better.coppice')

    await better.more('Duplicate…')
    const duplicate = page.getByRole('dialog', { name: /Duplicate/ })
    await duplicate.getByRole('textbox').fill('twin')
    await duplicate.getByRole('button', { name: 'Duplicate' }).click()
    await expect(workstation.row('twin')).toBeVisible()

    const twin = await workstation.open('twin')
    await twin.more('Move to trash')
    await expect(workstation.row('twin')).toBeHidden()
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect(workstation.row('twin')).toBeVisible()
  })

  test('a bundle that is copied in appears by itself', async ({ workstation, served }) => {
    await expect(workstation.row('good')).toBeVisible()
    await cp(path.join(served.library, 'broken.coppice'), path.join(served.library, 'late.coppice'), { recursive: true })
    await expect(workstation.row('late')).toBeVisible()
  })
})

test.describe('a large library', () => {
  test.use({
    library: {
      async prepare(library: string) {
        for (let at = 0; at < 1000; at++) {
          const name = `machine ${String(at).padStart(4, '0')}`
          await writeBundle(library, name, config(name))
        }
      },
    },
  })

  test('a thousand machines: few rows exist, the last is reached by keyboard and by search', async ({ workstation, page }) => {
    await expect(workstation.row('machine 0000')).toBeVisible()
    expect(await workstation.library.getByRole('treeitem').count()).toBeLessThan(120)
    await workstation.row('machine 0000').click()
    await page.keyboard.press('End')
    await expect(workstation.row('machine 0999')).toBeVisible()
    await workstation.library.getByRole('searchbox').fill('0512')
    await expect(workstation.row('machine 0512')).toBeVisible()
    await expect(workstation.row('machine 0000')).toBeHidden()
  })
})
