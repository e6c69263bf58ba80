export const dynamic = 'force-dynamic';

export async function GET() {
  console.log('begun');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  return new Response('ok\n');
}
