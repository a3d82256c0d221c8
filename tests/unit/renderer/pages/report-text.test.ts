import { expect, test } from 'vitest'
import { reportText } from '../../../../src-renderer/pages/doctor/report-text.ts'
import type { DoctorReport } from '../../../../src-shared/api/system.ts'

test('the doctor’s report as text has every finding with its advice', () => {
  const report: DoctorReport = {
    at: '2026-01-01T00:00:00Z',
    summary: 'This computer can run machines.',
    checks: [
      { id: 'a', group: 'engines', title: 'Embedded engine', state: 'ok', detail: 'It runs.', advice: null },
      { id: 'b', group: 'host', title: 'Space', state: 'warning', detail: '2 GiB left.', advice: 'Free some space.' },
    ],
  }
  expect(reportText(report, null)).toBe(
    'Examined 2026-01-01T00:00:00Z\n\nThis computer can run machines.\n\n[ok] Embedded engine: It runs.\n[warning] Space: 2 GiB left.\n    Free some space.\n',
  )
})
