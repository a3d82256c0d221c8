/** The few pages that are not the window: one sentence each, readable without styles, scripts or access. */

export interface Page {
  status: number
  title: string
  sentence: string
}

export const PAGES = {
  noAccess: {
    status: 401,
    title: 'This address needs its token',
    sentence: 'Open the address that Coppice printed when it started, with everything behind the question mark. Each start has a new one.',
  },
  wrongHost: {
    status: 421,
    title: 'This is not the address of this Coppice',
    sentence: 'The request names another computer. Open the address that Coppice printed when it started.',
  },
  wrongOrigin: { status: 403, title: 'Refused', sentence: 'The request comes from a page that does not belong to Coppice.' },
  notFound: { status: 404, title: 'There is nothing here', sentence: 'Coppice has no page of this name.' },
  wrongMethod: { status: 405, title: 'Refused', sentence: 'Coppice only answers GET and HEAD here.' },
} as const satisfies Record<string, Page>

export function renderPage(page: Page): string {
  return document(page.title, '', `<h1>${page.title}</h1><p>${page.sentence}</p>`)
}

/** Goes on to the window from a page of our own: see `exchange` in serve.ts. */
export function renderForward(): string {
  return document('Coppice', '<meta http-equiv="refresh" content="0;url=/">', '<p><a href="/">Open Coppice</a></p>')
}

function document(title: string, head: string, body: string): string {
  const style = 'font:15px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 16px;color-scheme:light dark'
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">${head}<title>${title}</title></head><body style="${style}">${body}</body></html>`
}
