/** How near the map is seen: its limits, what "everything" means (never larger than life), and below which names alone can be read. */
export const ZOOM = { min: 0.1, max: 2, names: 0.6 } as const
export const FIT = { padding: 0.08, maxZoom: 1 } as const
/** What was looked for is shown no smaller than that. */
export const NEAR = 0.9
