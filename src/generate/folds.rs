use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::domain::Class;

/// Cuts labels, each with its group, into parts: groups whole, and failures spread evenly, the largest groups first.
///
/// A group with failures goes where the fewest are. One without goes to the part that comes first by `order`, which is
/// given a part's failures and labels. Each part has the places of its labels, as they were dealt.
pub fn deal(
    labels: &[(&str, Class)],
    parts: usize,
    random: &mut ChaCha8Rng,
    order: fn(usize, usize) -> (usize, usize),
) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (group, _)) in labels.iter().enumerate() {
        groups.entry(group).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(random);
    let fails = |of: &[usize]| {
        let classes = of.iter().map(|index| labels[*index].1);
        classes.filter(|class| *class == Class::Fail).count()
    };
    groups.sort_by_key(|group| std::cmp::Reverse((fails(group), group.len())));
    let mut dealt = vec![(0, Vec::new()); parts];
    for group in groups {
        let fails = fails(&group);
        let size = |(had, part): &(usize, Vec<usize>)| match fails {
            0 => order(*had, part.len()),
            _ => (*had, part.len()),
        };
        let smallest = dealt.iter_mut().min_by_key(|part| size(part));
        let (had, part) = smallest.expect("there are parts");
        *had += fails;
        part.extend(group);
    }
    dealt.into_iter().map(|(_, part)| part).collect()
}
