/** The window itself: keyboard, palette, settings, Doctor, several windows on one host. */
import { expect, test } from './support.ts'
import { Workstation } from './pages/workstation.ts'

test('the palette finds every page, by keyboard alone', async ({ workstation, page }) => {
  await expect(workstation.createSampleButton).toBeVisible()
  await workstation.command('Doctor')
  await expect(page.getByRole('heading', { name: 'Doctor', level: 1 })).toBeVisible()
  await expect(page.getByRole('main')).toContainText(/embedded engine/i)
  await workstation.command('Settings')
  await expect(page.getByRole('heading', { name: 'Settings', level: 1 })).toBeVisible()
})

test('the theme is chosen once for every window', async ({ workstation, page, context, served }) => {
  const second = await context.newPage()
  await second.goto(served.url)
  await expect(new Workstation(second).createSampleButton).toBeVisible()
  await workstation.goTo('Settings')
  await page
    .getByRole('radio', { name: 'Dark' })
    .or(page.getByRole('combobox', { name: 'Theme' }))
    .first()
    .click()
  const option = page.getByRole('option', { name: 'Dark' })
  if (await option.isVisible()) await option.click()
  for (const window of [page, second]) await expect(window.locator('html')).toHaveAttribute('data-theme', 'dark')
})

test('a page without the token’s cookie is refused', async ({ served, browser }) => {
  const stranger = await browser.newContext()
  const page = await stranger.newPage()
  const response = await page.goto(new URL('/', served.url).href)
  expect(response?.status()).toBe(401)
  await stranger.close()
})

test('host terminals are not offered unless they were allowed', async ({ workstation }) => {
  await expect(workstation.library.getByRole('button', { name: 'Settings' })).toBeVisible()
  await expect(workstation.library.getByRole('button', { name: 'Terminal' })).toHaveCount(0)
})

test.describe('with --allow-terminal', () => {
  test.use({ serveArguments: ['--allow-terminal'] })
  test('a host terminal answers', async ({ workstation, page }) => {
    await workstation.library.getByRole('button', { name: 'Terminal' }).click()
    await page
      .getByRole('textbox', { name: /terminal/i })
      .first()
      .focus()
    await page.keyboard.type('echo $((40+2))-there\n')
    await expect(async () => {
      await page.locator('.xterm-screen').click({ button: 'right' })
      await page.getByRole('menuitem', { name: 'Select all' }).click()
      await page
        .getByRole('textbox', { name: /terminal/i })
        .first()
        .focus()
      await page.keyboard.press('Control+Shift+C')
      expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^42-there/m)
    }).toPass({ timeout: 20_000 })
  })
})
