use super::*;

fn parse(line: &str) -> Result<Vec<Figure>> {
    Options::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))?.resolve()
}

fn names(line: &str) -> Vec<String> {
    parse(line).unwrap().iter().map(|figure| format!("{} {}", figure.name(), figure.threads())).collect()
}

fn check_error(line: &str, expected: &str) {
    let error = parse(line).unwrap_err().to_string();
    assert!(error.contains(expected), "{line}: {error}");
}

#[test]
fn names_and_options_are_understood() {
    let setup = Setup { threads: 2, ..Setup::default() };
    assert_eq!(parse("mlp --threads 2 --json").unwrap(), [Figure::Epochs("mlp".parse().unwrap(), setup)]);
    let setup = Setup { threads: 1, shards: Some(4), repeats: 3, epochs: 2, ranks: 1 };
    let line = "seed --shards 4 --repeats 3 --epochs 2";
    assert_eq!(parse(line).unwrap(), [Figure::Epochs("seed".parse().unwrap(), setup)]);
    assert_eq!(parse("wide").unwrap(), [Figure::Epochs("wide".parse().unwrap(), Setup::default())]);
}

#[test]
fn several_numbers_of_threads_and_workloads_make_a_table() {
    assert_eq!(names(""), ["seed 1", "mlp 1", "wide 1", "cnn 1", "ctr 26x100000 1", "online1 memory 1"]);
    assert_eq!(names("ctr cnn --categories 50,70"), ["ctr 26x50 1", "ctr 26x70 1", "cnn 1"]);
    assert_eq!(names("ctr --ranks 2"), ["ctr 2 ranks 26x100000 1"]);
    assert_eq!(names("seed wide --threads 1,2"), ["seed 1", "seed 2", "wide 1", "wide 2"]);
    assert_eq!(names("online1"), ["online1 memory 1", "online1 parquet 1"]);
    assert_eq!(names("stream --threads 2"), ["stream 2"]);
    assert_eq!(
        names("stream online1 --mode memory,decode"),
        ["stream memory 1", "stream decode 1", "online1 memory 1"]
    );
    let memory = ["seed 1", "mlp 1", "wide 1", "cnn 1", "ctr 26x100000 1", "online1 memory 1"];
    let compared = [&memory[..], &["stream 1", "stream memory 1", "stream decode 1"]].concat();
    assert_eq!(names("--peers python"), compared);
    assert_eq!(names("--peers python mlp --threads 1,2 --rounds 2"), ["mlp 1", "mlp 2"]);
}

#[test]
fn a_figure_is_asked_for_by_its_arguments() {
    for line in [
        "",
        "--dims 50,300,200,5 --batch 200 --loss ce --rows 400 --shards 3",
        "seed --repeats 2 --epochs 3 --threads 2 --shards 4",
        "ctr --categories 50,70 --rows 3000 --threads 2 --repeats 2",
        "online1 --mode parquet --rows 9",
        "online1 --file some.parquet",
        "stream --mode memory,stream,decode --budget 50000000 --prefetch 0 --threads 2 --shards 3 --decode-threads 2",
        "stream --file some.parquet",
        "stream --mode write --keep some.parquet --rows 9",
    ] {
        for figure in parse(line).unwrap() {
            let words = figure.arguments();
            let options = Options::try_parse_from(std::iter::once("bench".to_owned()).chain(words)).unwrap();
            assert!(options.json);
            assert_eq!(options.resolve().unwrap(), [figure], "{line}");
        }
    }
}

#[test]
fn a_model_of_ones_own_is_understood() {
    let model = Model::Dense(vec![50, 300, 200, 5]);
    let expected = Workload { name: "50-300-200-5".into(), model, goal: Goal::Ce, batch_size: 200, rows: 20_000 };
    let found = parse("--dims 50,300,200,5 --batch 200 --loss ce").unwrap();
    assert_eq!(found, [Figure::Epochs(expected, Setup::default())]);
    let found = parse("--dims 5,1 --batch 20 --loss mse --rows 70").unwrap();
    assert!(matches!(&found[..], [Figure::Epochs(workload, _)] if workload.rows == 60));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    check_error("resnet", "there is no workload \"resnet\", only seed, mlp, wide, cnn, ctr, online1, stream");
    check_error("mlp --dims 3,1", "give one of them");
    check_error("mlp --batch 64", "--batch goes with --dims, not with mlp");
    check_error("mlp --rows 64", "--rows goes with --dims, ctr, online1 and stream, not with mlp");
    check_error("--dims 3,1 --batch 4", "--dims needs --batch and --loss");
    check_error("--dims 3,x --batch 4 --loss bce", "'x'");
    check_error("--dims 3,1 --batch 4 --loss hinge", "possible values: ce, bce, mse");
    check_error("--dims 3,1 --batch 4 --loss ce", "2 outputs or more");
    check_error("seed --threads 0", "threads: 0");
    check_error("seed --threads two", "'two'");
    check_error("seed --threads 1,33", "cannot be cut into 33 shards");
    check_error("ctr --categories 0", "categories: 0");
    check_error("ctr --rows 9", "rows: 9 do not fill one batch of 1024");
    check_error("seed --fast", "--fast");
}

#[test]
fn options_of_other_workloads_are_refused_by_name() {
    check_error("seed mlp --file rows.parquet", "--file goes with online1 and stream, not with seed, mlp");
    check_error("seed --mode memory", "--mode goes with online1 and stream");
    check_error("wide --categories 50", "--categories goes with ctr, not with wide");
    check_error("online1 --budget 1000", "--budget goes with stream");
    check_error("seed --decode-threads 2", "--decode-threads goes with stream");
    check_error("stream --decode-threads 0", "decode threads: 0");
    check_error("online1 --epochs 2", "--epochs goes with epochs over rows in memory");
    check_error("stream --repeats 2", "--repeats goes with what is more than one pass");
    check_error("stream --mode parquet", "--mode: stream knows stream, memory, decode, write");
    check_error("online1 --mode memory,decode", "--mode: online1 knows memory, parquet");
    check_error("stream --mode sideways", "sideways");
    check_error("stream --rows 0", "rows: 0");
    check_error("stream --file a.parquet --rows 9", "--rows is for a file that is written");
    check_error("stream --file a.parquet --keep b.parquet", "--keep is for a file that is written");
    check_error("stream --mode write", "needs --keep FILE");
    check_error("stream --mode write,stream --keep a.parquet", "give it alone");
    check_error("seed --rounds 2", "--rounds goes with --peers");
    check_error("seed --against jax", "--against goes with --peers");
    check_error("seed --peers python --rounds 0", "rounds: 0");
    check_error("--peers python --dims 3,1 --batch 4 --loss bce", "named workloads alone");
}
