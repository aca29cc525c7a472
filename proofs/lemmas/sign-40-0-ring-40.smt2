; Sign test of 40 bits, 0 of them ignored: for every sharing of v in Z_2^40, the tree over the
; chunks' generate and propagate bits gives bit 39 of v' = v - e, where e, the sum of the two
; operands' ignored low bits, has 0 <= e <= 2*(2^0-1) and v' = 0 mod 2^0. Hence the bit is bit 39 of
; v unless v mod 2^39 < 0, and the sign of v if moreover -2^39 <= v < 2^39. In a narrower ring only
; the low 40 bits exist, and only they enter the bit. The query asks for a counterexample to any of
; these. That the shared bits of a chunk are its generate and propagate bits is sign-chunk-*, that a
; node of the tree on shares computes its AND is sign-and.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 40))
(declare-fun x2 () (_ BitVec 40))
(declare-fun x3 () (_ BitVec 40))
(define-fun v () (_ BitVec 40) (bvadd x1 x2 x3))
; role 1 knows m, roles 2 and 3 know n
(define-fun sum12 () (_ BitVec 40) (bvadd x1 x2))
(define-fun m () (_ BitVec 40) ((_ extract 39 0) sum12))
(define-fun n () (_ BitVec 40) ((_ extract 39 0) x3))
; generate and propagate of every chunk
(define-fun g0_0 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 2 0) m)) ((_ zero_extend 1) ((_ extract 2 0) n)))))
(define-fun g0_1 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 5 3) m)) ((_ zero_extend 1) ((_ extract 5 3) n)))))
(define-fun p0_1 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 5 3) m) ((_ extract 5 3) n)) (_ bv7 3)))
(define-fun g0_2 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 8 6) m)) ((_ zero_extend 1) ((_ extract 8 6) n)))))
(define-fun p0_2 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 8 6) m) ((_ extract 8 6) n)) (_ bv7 3)))
(define-fun g0_3 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 11 9) m)) ((_ zero_extend 1) ((_ extract 11 9) n)))))
(define-fun p0_3 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 11 9) m) ((_ extract 11 9) n)) (_ bv7 3)))
(define-fun g0_4 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 14 12) m)) ((_ zero_extend 1) ((_ extract 14 12) n)))))
(define-fun p0_4 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 14 12) m) ((_ extract 14 12) n)) (_ bv7 3)))
(define-fun g0_5 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 17 15) m)) ((_ zero_extend 1) ((_ extract 17 15) n)))))
(define-fun p0_5 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 17 15) m) ((_ extract 17 15) n)) (_ bv7 3)))
(define-fun g0_6 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 20 18) m)) ((_ zero_extend 1) ((_ extract 20 18) n)))))
(define-fun p0_6 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 20 18) m) ((_ extract 20 18) n)) (_ bv7 3)))
(define-fun g0_7 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 23 21) m)) ((_ zero_extend 1) ((_ extract 23 21) n)))))
(define-fun p0_7 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 23 21) m) ((_ extract 23 21) n)) (_ bv7 3)))
(define-fun g0_8 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 26 24) m)) ((_ zero_extend 1) ((_ extract 26 24) n)))))
(define-fun p0_8 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 26 24) m) ((_ extract 26 24) n)) (_ bv7 3)))
(define-fun g0_9 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 29 27) m)) ((_ zero_extend 1) ((_ extract 29 27) n)))))
(define-fun p0_9 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 29 27) m) ((_ extract 29 27) n)) (_ bv7 3)))
(define-fun g0_10 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 32 30) m)) ((_ zero_extend 1) ((_ extract 32 30) n)))))
(define-fun p0_10 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 32 30) m) ((_ extract 32 30) n)) (_ bv7 3)))
(define-fun g0_11 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 35 33) m)) ((_ zero_extend 1) ((_ extract 35 33) n)))))
(define-fun p0_11 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 35 33) m) ((_ extract 35 33) n)) (_ bv7 3)))
(define-fun g0_12 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 38 36) m)) ((_ zero_extend 1) ((_ extract 38 36) n)))))
(define-fun p0_12 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 38 36) m) ((_ extract 38 36) n)) (_ bv7 3)))
; joined in pairs
(define-fun g1_0 () (_ BitVec 1) (bvxor g0_1 (bvand p0_1 g0_0)))
(define-fun g1_1 () (_ BitVec 1) (bvxor g0_3 (bvand p0_3 g0_2)))
(define-fun p1_1 () (_ BitVec 1) (bvand p0_3 p0_2))
(define-fun g1_2 () (_ BitVec 1) (bvxor g0_5 (bvand p0_5 g0_4)))
(define-fun p1_2 () (_ BitVec 1) (bvand p0_5 p0_4))
(define-fun g1_3 () (_ BitVec 1) (bvxor g0_7 (bvand p0_7 g0_6)))
(define-fun p1_3 () (_ BitVec 1) (bvand p0_7 p0_6))
(define-fun g1_4 () (_ BitVec 1) (bvxor g0_9 (bvand p0_9 g0_8)))
(define-fun p1_4 () (_ BitVec 1) (bvand p0_9 p0_8))
(define-fun g1_5 () (_ BitVec 1) (bvxor g0_11 (bvand p0_11 g0_10)))
(define-fun p1_5 () (_ BitVec 1) (bvand p0_11 p0_10))
; joined in pairs
(define-fun g2_0 () (_ BitVec 1) (bvxor g1_1 (bvand p1_1 g1_0)))
(define-fun g2_1 () (_ BitVec 1) (bvxor g1_3 (bvand p1_3 g1_2)))
(define-fun p2_1 () (_ BitVec 1) (bvand p1_3 p1_2))
(define-fun g2_2 () (_ BitVec 1) (bvxor g1_5 (bvand p1_5 g1_4)))
(define-fun p2_2 () (_ BitVec 1) (bvand p1_5 p1_4))
; joined in pairs
(define-fun g3_0 () (_ BitVec 1) (bvxor g2_1 (bvand p2_1 g2_0)))
(define-fun g3_1 () (_ BitVec 1) (bvxor g0_12 (bvand p0_12 g2_2)))
(define-fun p3_1 () (_ BitVec 1) (bvand p0_12 p2_2))
; joined in pairs
(define-fun g4_0 () (_ BitVec 1) (bvxor g3_1 (bvand p3_1 g3_0)))
(define-fun bit () (_ BitVec 1) (bvxor g4_0 ((_ extract 39 39) m) ((_ extract 39 39) n)))
; v less the low bits that are ignored, operand by operand
(define-fun ignored () (_ BitVec 40) (_ bv0 40))
(define-fun seen () (_ BitVec 40) (bvsub v ignored))
(assert (or (distinct bit ((_ extract 39 39) seen)) (bvugt ignored (_ bv0 40)) (and (bvuge ((_ extract 38 0) v) (_ bv0 39)) (distinct bit ((_ extract 39 39) v))) (and (bvuge ((_ extract 38 0) v) (_ bv0 39)) (distinct bit ((_ extract 39 39) v)))))
(check-sat)
